from __future__ import annotations

from pathlib import Path

from netboot.lab.neighbour import rival_argv, router_argv
from netboot.lab.network import plan_lab

PLAN = plan_lab(1)
ROUTER = """
nsenter --net=/run/netns/neighbour -- dnsmasq --keep-in-foreground --conf-file=/dev/null --log-facility=- --user=root
--port=0 --interface=site0 --bind-interfaces --enable-ra --dhcp-range=fd09::,ra-only --ra-param=site0,0,0
"""
DHCP = """
--dhcp-range=10.9.0.100,10.9.0.199,255.255.255.0,1h --dhcp-authoritative --no-ping --dhcp-leasefile=/d/leases --log-dhcp
"""


def test_the_router_lends_no_addresses() -> None:
    assert router_argv(PLAN) == ROUTER.split()


def test_the_rival_lends_addresses_but_knows_nothing_of_booting() -> None:
    argv = rival_argv(PLAN, leases=Path("/d/leases"))
    assert argv == [*ROUTER.split(), *DHCP.split()]
    assert not any("boot" in word or "pxe" in word or "tftp" in word for word in argv)


def test_for_grub_the_rival_names_us_and_no_boot_file() -> None:
    argv = rival_argv(PLAN, leases=Path("/d/leases"), names_us=True)
    assert argv == [*ROUTER.split(), *DHCP.split(), "--dhcp-boot=,,10.9.0.1"]
