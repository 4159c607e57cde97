"""DHCP for booting machines: an address server, a ProxyDHCP, and the boot server on port 4011."""
