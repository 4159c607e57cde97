"""Ten thousand damaged packets on each port, then a good client: no crash, no growth, and it gets its lease."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.message import Message, MessageType, decode, encode
from tests.dhcp_kit import BIOS, IPXE, RESERVED, SYSTEM, UEFI, UEFI_HTTP, discover, extending, macs, packet, selecting
from tests.lab.dhcp_wire import Daemon, make_wire, plug_in

pytestmark = pytest.mark.walls

COUNT = 10_000
GOOD_XID = 0x600DC11E
SEEDS = [
    encode(message)
    for mac in macs(4)
    for message in (
        *(discover(asker, mac=mac, flags=0x8000) for asker in (BIOS, UEFI, UEFI_HTTP, IPXE, SYSTEM)),
        selecting("10.9.0.101", UEFI, mac=mac, more={82: b"\x01\x04abcd\x05\x04\x0a\x09\x00\x00", 61: b"\xff123"}),
        extending("10.9.0.102", mac=mac, more={52: b"\x03"}),
        packet(MessageType.INFORM, BIOS, mac=mac, more={43: b"\x47\x04\0\0\0\0\xff"}),
        packet(MessageType.RELEASE, mac=mac),
        packet(MessageType.DECLINE, mac=mac, more={50: b"\x0a\x09\0\x65", 54: b"\x0a\x09\0\x01"}),
    )
]


def damaged(chance: random.Random) -> bytes:
    """A seed with bytes changed, cut out, doubled or cut off; the last often hits an option's length."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(240, len(data)) if chance.random() < 0.8 else chance.randrange(len(data))
        match chance.randrange(4):
            case 0 | 1:
                data[at] = chance.choice((0, 1, 52, 82, 255, chance.randrange(256)))
            case 2:
                data[at:at] = data[at : at + chance.randrange(60)]
            case 3:
                del data[at : at + chance.randrange(20)]
        if len(data) < 250:
            break
    return bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.1 else data)[:1400]


def flood(chance: random.Random) -> Iterator[tuple[int, bytes]]:
    for number in range(COUNT):
        yield number, damaged(chance)


def answer_to_the_good_one(sock: socket.socket) -> Message:
    """Broadcast answers to the last of the flood reach the good client too."""
    while (reply := decode(sock.recv(4096))).xid != GOOD_XID:
        pass
    return reply


@pytest.mark.parametrize(("port", "mode"), [(67, DhcpMode.OWN), (67, DhcpMode.PROXY), (4011, DhcpMode.PROXY)])
def test_a_good_client_after_a_flood_of_damaged_ones(port: int, mode: DhcpMode, tmp_path: Path) -> None:
    make_wire()
    mad, good = plug_in("mad", macs(1)[0]), plug_in("good", RESERVED.mac)
    daemon = Daemon.start(tmp_path, mode)
    with mad.socket(port=1068) as sock:
        before = 0
        for number, data in flood(random.Random(f"{port} {mode}")):
            sock.sendto(data, ("255.255.255.255", port))
            if number % 50 == 49:
                time.sleep(0.01)  # or the kernel drops them before they are ever read
            if number == COUNT // 4:
                before = daemon.memory_kib
    daemon.child.check()
    boots = discover(UEFI, mac=RESERVED.mac, flags=0x8000, xid=GOOD_XID)
    if port == 4011:
        boots = packet(MessageType.REQUEST, UEFI, mac=RESERVED.mac, xid=GOOD_XID)
    with good.socket() as sock:
        good.add_address("10.9.0.50")
        sock.sendto(encode(boots), ("10.9.0.1", port))
        assert answer_to_the_good_one(sock).file == b"ipxe/snponly.efi"
    good.forget_address()
    if mode is DhcpMode.OWN:
        good.udhcpc()
        assert good.address() == "10.9.0.7"
    assert daemon.memory_kib - before < 8192
    daemon.stop()
