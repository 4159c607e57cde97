"""The rest of the site's network, played by dnsmasq: always its router, and in proxy mode its DHCP server.

The DHCP server knows nothing of network booting: it lends addresses and gives no boot information, as the box
that an admin cannot change does.  For GRUB alone it names a next server: upstream's GRUB, which is Debian's, takes
its server from the ACK that lent the address and does not look at a ProxyDHCP's reply.

The router matters for speed: it answers IPv6 router solicitations.  iPXE configures IPv4 and IPv6 together and
starts only when both are settled; where no router answers it waits 13 s (measured: 18.4 s from power-on to script
without, 2.4 s with router advertisements).
"""

from __future__ import annotations

from pathlib import Path

from netboot.lab.network import LabPlan
from netboot.lab.process import Child


def router_argv(plan: LabPlan) -> list[str]:
    """dnsmasq as a router that advertises an IPv6 prefix and nothing else."""
    prefix = plan.neighbour_v6.network.network_address
    return [
        *("nsenter", f"--net=/run/netns/{plan.neighbour_namespace}", "--"),
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",  # not the machine's own configuration
        "--log-facility=-",
        "--user=root",  # the user dnsmasq comes with the package dnsmasq, which runs a daemon; dnsmasq-base has none
        "--port=0",  # no DNS
        f"--interface={plan.neighbour_link}",
        "--bind-interfaces",
        "--enable-ra",
        f"--dhcp-range={prefix},ra-only",
        f"--ra-param={plan.neighbour_link},0,0",  # lifetime 0: a prefix, but no route to anywhere
    ]


def rival_argv(plan: LabPlan, *, leases: Path, names_us: bool = False) -> list[str]:
    """The same, and the site's DHCP server besides.  It keeps its leases in the file `leases`.

    With `names_us` its replies have our daemon as next server (siaddr), still without a boot file.
    """
    return [
        *router_argv(plan),
        f"--dhcp-range={plan.pool.first},{plan.pool.last},{plan.neighbour.network.netmask},1h",
        "--dhcp-authoritative",
        "--no-ping",  # else it holds each first offer back for 3 s to ping the address
        f"--dhcp-leasefile={leases}",
        "--log-dhcp",
        *([f"--dhcp-boot=,,{plan.server.ip}"] if names_us else []),
    ]


def start_neighbour(plan: LabPlan, *, serves_dhcp: bool, names_us: bool = False, directory: Path) -> Child:
    """Start the neighbour; its log is `neighbour.log` in `directory`."""
    leases = directory / "neighbour.leases"
    argv = rival_argv(plan, leases=leases, names_us=names_us) if serves_dhcp else router_argv(plan)
    return Child.start("the neighbour's dnsmasq", argv, log=directory / "neighbour.log")
