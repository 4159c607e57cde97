"""Clients that nobody here wrote get, renew, keep and give back their addresses from the real server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.lab.process import Child
from netboot.system.commands import run
from tests.dhcp_kit import LAB
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import HOOK, Daemon, Guest, make_wire, plug_in, wait_for
from tests.lab.system_clients import network_manager, networkd

pytestmark = pytest.mark.walls


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    make_wire()
    daemon = Daemon.start(tmp_path)
    yield daemon
    daemon.stop()


@pytest.fixture
def guest(daemon: Daemon) -> Guest:
    return plug_in("guest", LAB.mac)


def dhclient(guest: Guest, folder: Path, *more: str) -> None:
    files = ("-lf", str(folder / "leases"), "-pf", str(folder / "pid"), "-cf", str(folder / "conf"))
    (folder / "conf").write_text(
        'send dhcp-client-identifier = "a name of its own";\nrequest subnet-mask, routers, host-name;\n',
        encoding="utf-8",
    )
    run(guest.argv("dhclient", "-4", "-1", "-v", "-sf", str(HOOK), *files, *more, "eth0"))


def stop_dhclient(folder: Path) -> None:
    """End the one that stayed in the background, which writes its pid after it has told us of the lease."""
    file = folder / "pid"
    pid = wait_for(lambda: file.read_text(encoding="ascii").strip() if file.exists() else None, "pid of dhclient")
    run(["kill", pid])
    file.unlink()


def dhcpcd(guest: Guest) -> str:
    """dhcpcd keeps its files in fixed places, which within our walls may be covered."""
    run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib/dhcpcd"])
    done = run(guest.argv("dhcpcd", "-4", "-1", "-B", "-c", "/bin/true", "-f", "/dev/null", "-t", "15", "eth0"))
    return done.stdout + done.stderr


def test_udhcpc_gets_renews_and_releases_its_lease(daemon: Daemon, guest: Guest, tmp_path: Path) -> None:
    argv = guest.argv("busybox", "udhcpc", "-i", "eth0", "-f", "-s", str(HOOK), "-x", "hostname:me")
    with Child.start("udhcpc", argv, log=tmp_path / "udhcpc.log") as client:
        address = wait_for(guest.address, "address")
        assert address.startswith("10.9.0.10")
        assert len(daemon.events("acked")) == 1
        client.signal(signal.SIGUSR1)
        wait_for(lambda: len(daemon.events("acked")) == 2, "renewal")
        assert {each["address"] for each in daemon.events("acked")} == {address}
        client.signal(signal.SIGUSR2)
        wait_for(lambda: daemon.events("released"), "release")
    assert guest.address() is None
    assert guest.udhcpc()
    assert guest.address() == address


def ipconfig(guest: Guest) -> None:
    """The client of Debian's initramfs."""
    run(guest.argv("/usr/lib/klibc/bin/ipconfig", "-t", "15", "-c", "dhcp", "-d", "eth0"))


def test_one_card_keeps_one_address_over_all_clients(daemon: Daemon, guest: Guest, tmp_path: Path) -> None:
    """From firmware to the running system, whichever that is: no identifier, the MAC, a name, a DUID."""
    seen = []

    def note() -> None:
        seen.append(guest.address())
        guest.forget_address()

    guest.udhcpc("-C", "-V", "PXEClient:Arch:00007:UNDI:003016")
    note()
    guest.udhcpc("-V", "PXEClient:Arch:00007:UNDI:003016", "-x", f"0x4d:{b'iPXE'.hex()}")
    note()
    ipconfig(guest)
    note()
    guest.udhcpc()
    note()
    dhclient(guest, tmp_path)
    stop_dhclient(tmp_path)
    note()
    assert "leased" in dhcpcd(guest)
    note()
    for client in (networkd, network_manager):
        with client(guest, tmp_path / client.__name__) as machine:
            machine.address()
            machine.child.signal(signal.SIGKILL)  # it gives nothing back
            note()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert {each["address"] for each in daemon.events("acked")} == set(seen)
    assert not daemon.events("refused")


def test_dhclient_reboots_into_its_lease_and_releases_it(daemon: Daemon, guest: Guest, tmp_path: Path) -> None:
    dhclient(guest, tmp_path)
    address = guest.address()
    stop_dhclient(tmp_path)
    guest.forget_address()
    dhclient(guest, tmp_path)  # INIT-REBOOT, from its lease file
    assert guest.address() == address
    dhclient(guest, tmp_path, "-r")
    wait_for(lambda: daemon.events("released"), "release")
    assert not daemon.events("refused")


def test_a_client_that_wants_broadcast_replies_gets_them(daemon: Daemon, guest: Guest) -> None:
    guest.udhcpc("-B")
    assert guest.address()


def test_a_client_with_a_foreign_address_is_told_and_comes_back(daemon: Daemon, guest: Guest) -> None:
    guest.udhcpc("-r", "192.168.77.7")
    assert str(guest.address()).startswith("10.9.0.10")


def test_an_address_that_somebody_uses_unasked_is_not_lent(daemon: Daemon, guest: Guest) -> None:
    """The squatter sits where the guest would be put; it is found by ARP between OFFER and REQUEST."""
    squatter = plug_in("squatter", OTHER_MAC)
    squatter.add_address("10.9.0.103")
    guest.udhcpc("-r", "10.9.0.103")
    assert guest.address() not in (None, "10.9.0.103")
    declined = daemon.events("declined")
    assert [(each["address"], each["used_by"]) for each in declined] == [("10.9.0.103", str(OTHER_MAC))]


def test_a_client_that_finds_its_address_in_use_declines_it(daemon: Daemon, guest: Guest) -> None:
    guest.udhcpc()
    address = guest.address()
    guest.forget_address()
    squatter = plug_in("squatter", OTHER_MAC)
    squatter.add_address(str(address))
    guest.udhcpc("-a1000", "-t", "8", "-A", "1")
    assert guest.address() not in (None, address)
    assert [each["address"] for each in daemon.events("declined")] == [address]
