"""kill -9 at the two worst moments: a client still gets its address, and keeps it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from netboot.dhcp.message import MessageType, decode, encode
from netboot.lab.process import Child
from netboot.model.mac import MacAddress
from netboot.store.database import open_database
from netboot.store.leases import LeaseRepository
from tests.dhcp_kit import LAB, UEFI, discover, extending, selecting
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import HOOK, Daemon, make_wire, plug_in, wait_for

pytestmark = pytest.mark.walls


def held(folder: Path) -> dict[MacAddress, str]:
    return {each.mac: str(each.address) for each in LeaseRepository(open_database(folder)).load()}


def test_a_lease_survives_the_server(tmp_path: Path) -> None:
    make_wire()
    guest, other = plug_in("guest", LAB.mac), plug_in("other", OTHER_MAC)
    first = Daemon.start(tmp_path)
    argv = guest.argv("busybox", "udhcpc", "-i", "eth0", "-f", "-s", str(HOOK))
    with Child.start("udhcpc", argv, log=tmp_path / "udhcpc.log") as client:
        address = wait_for(guest.address, "address")
        first.kill()
        assert held(tmp_path) == {LAB.mac: address}
        second = Daemon.start(tmp_path)
        other.udhcpc("-r", address)
        assert other.address() not in (None, address)
        client.signal(signal.SIGUSR1)
        wait_for(lambda: [each for each in second.events("acked") if each["mac"] == str(LAB.mac)], "renewal")
        assert guest.address() == address
    assert not second.events("refused")
    second.stop()


def test_an_offer_survives_the_server(tmp_path: Path) -> None:
    """The OFFER is one daemon's, the REQUEST goes to another that knows nothing of it, and so does the next."""
    make_wire()
    guest, other = plug_in("guest", LAB.mac), plug_in("other", OTHER_MAC)
    everyone = ("255.255.255.255", 67)
    first = Daemon.start(tmp_path)
    with guest.socket() as sock:
        sock.sendto(encode(discover(UEFI, flags=0x8000)), everyone)
        offer = decode(sock.recv(4096))
        first.kill()
        assert held(tmp_path) == {}
        second = Daemon.start(tmp_path)
        sock.sendto(encode(selecting(str(offer.yiaddr), UEFI, flags=0x8000)), everyone)
        ack = decode(sock.recv(4096))
        second.kill()
        assert (ack.type, ack.yiaddr, ack.file) == (MessageType.ACK, offer.yiaddr, b"ipxe/snponly.efi")
        assert held(tmp_path) == {LAB.mac: str(offer.yiaddr)}
        third = Daemon.start(tmp_path)
        other.udhcpc("-r", str(offer.yiaddr))
        assert other.address() not in (None, str(offer.yiaddr))
        # The reply goes to this address, so the guest must have it before it asks.
        guest.add_address(str(offer.yiaddr))
        sock.sendto(encode(extending(str(offer.yiaddr), flags=0x8000)), everyone)
        assert decode(sock.recv(4096)).yiaddr == offer.yiaddr
    third.stop()
