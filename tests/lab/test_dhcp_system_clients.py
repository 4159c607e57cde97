"""The DHCP clients of whole systems, as they run on servers and desktops: what they were told is what we said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dhcp_kit import LAB, SERVER, SUBNET
from tests.lab.dhcp_wire import Daemon, Guest, make_wire, plug_in, wait_for
from tests.lab.system_clients import network_manager, networkd

pytestmark = pytest.mark.walls

DNS = " ".join(map(str, SUBNET.dns))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    make_wire()
    daemon = Daemon.start(tmp_path)
    yield daemon
    daemon.stop()


@pytest.fixture
def guest(daemon: Daemon) -> Guest:
    return plug_in("guest", LAB.mac)


def test_networkd_is_told_its_network_and_gives_its_address_back(daemon: Daemon, guest: Guest, tmp_path: Path) -> None:
    with networkd(guest, tmp_path / "machine") as machine:
        address = machine.address()
        lease = machine.networkd_lease()
        assert (lease["ADDRESS"], lease["SERVER_ADDRESS"]) == (address, str(SERVER))
        assert (lease["NETMASK"], lease["ROUTER"]) == ("255.255.255.0", str(SUBNET.router))
        assert (lease["DNS"], lease["DOMAINNAME"]) == (DNS, SUBNET.domain)
        assert lease["HOSTNAME"] == LAB.name
        assert (lease["LIFETIME"], lease["T1"], lease["T2"]) == ("3600", "1800", "3150")
        assert lease["CLIENTID"].startswith("ff")  # a DUID with an IAID, RFC 4361
    wait_for(lambda: daemon.events("released"), "release")
    assert [each["address"] for each in daemon.events("acked")] == [address]


def test_network_manager_is_told_its_network_and_comes_back_to_it(daemon: Daemon, guest: Guest, tmp_path: Path) -> None:
    with network_manager(guest, tmp_path / "machine") as machine:
        address = machine.address()
        told = machine.network_manager_options()
        assert (told["ip_address"], told["dhcp_server_identifier"]) == (address, str(SERVER))
        assert (told["subnet_mask"], told["routers"]) == ("255.255.255.0", str(SUBNET.router))
        assert (told["domain_name_servers"], told["domain_name"]) == (DNS, SUBNET.domain)
        assert (told["host_name"], told["dhcp_lease_time"]) == (LAB.name, "3600")
    guest.forget_address()
    with network_manager(guest, tmp_path / "machine") as machine:
        assert machine.address() == address
    assert not daemon.events("refused")
    assert {each["address"] for each in daemon.events("acked")} == {address}
