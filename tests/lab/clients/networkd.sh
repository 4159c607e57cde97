#!/bin/sh
# systemd-networkd on eth0, without systemd; run by machine.sh.  It gives up root itself, so its folders must be its own.
set -eu
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases
chown -R systemd-network: /run/systemd/netif
mount -t tmpfs tmpfs /etc/systemd/network
cat >/run/systemd/network/eth0.network <<END
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
END
exec /lib/systemd/systemd-networkd
