"""A Raspberry Pi's whole way, as far as its firmware goes, against the daemon as users run it.

The board says what captured boards said, and reads what Raspberry Pi's documentation says that it reads; curl reads it
for the board.  What is not there is as much a part of it as what is: it decides where a board looks next.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.dhcp.frame import udp_datagram
from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.model.mac import MacAddress
from netboot.system.commands import run
from tests.captures.files import captures, datagrams
from tests.cli_kit import publish_image
from tests.lab.dhcp_wire import BRIDGE, Guest, make_wire, plug_in, wait_for
from tests.lab.whole_daemon import Daemon
from tests.loopback.tftp_kit import some_bytes

__all__ = ["captures"]

pytestmark = pytest.mark.walls

EVERYONE = ("255.255.255.255", 67)
CONFIG = """
[[interface]]
name = "{interface}"
dhcp = "own"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100-10.9.0.110"

[tftp]
pi_firmware = "{firmware}"
"""
FIRMWARE = {
    "bootcode.bin": 52_000,
    "start.elf": 300_000,
    "start4.elf": 250_000,
    "fixup.dat": 7_000,
    "fixup4.dat": 5_000,
    "bcm2710-rpi-3-b.dtb": 30_000,
    "bcm2711-rpi-4-b.dtb": 50_000,
    "overlays/overlay_map.dtb": 1_024,  # ends with an empty block
}
KERNEL, INITRD = some_bytes(900_000, seed=2), some_bytes(700_000, seed=3)
NOT_FOUND = 68  # of curl


@dataclass(frozen=True)
class Board:
    """A board: its captured DISCOVER, its folder, and what it reads, of which `missing` is not there."""

    discover: str
    serial: str
    menu: bytes
    reads: tuple[str, ...]
    missing: frozenset[str]


COMMON = ("dt-blob.bin", "overlays/overlay_map.dtb", "cmdline.txt", "vmlinuz", "initrd.img")
# By its EEPROM: the configuration first, then the programs of its own generation.
PI_4 = Board(
    discover="rpi4_frame1_discover.eth.hex",
    serial="e0ff06da",
    menu=b"Raspberry Pi Boot",
    reads=(
        *("e0ff06da/config.txt", "e0ff06da/recover4.elf", "e0ff06da/start4.elf", "e0ff06da/fixup4.dat"),
        *("e0ff06da/recovery.elf", "e0ff06da/config.txt", "e0ff06da/bcm2711-rpi-4-b.dtb"),
        *(f"e0ff06da/{name}" for name in COMMON),
    ),
    missing=frozenset({"recover4.elf", "recovery.elf", "dt-blob.bin"}),
)
# By the ROM in its chip: the first program from the root, which then looks for its folder.
PI_3 = Board(
    discover="rpi3_discover.hex",
    serial="bd9b65d4",
    menu=b"Raspberry Pi Boot   ",
    reads=(
        *("bootcode.bin", "bootsig.bin", "bd9b65d4/start.elf", "bd9b65d4/autoboot.txt", "bd9b65d4/config.txt"),
        *("bd9b65d4/recovery.elf", "bd9b65d4/fixup.dat", "bd9b65d4/bcm2710-rpi-3-b.dtb"),
        *(f"bd9b65d4/{name}" for name in COMMON),
    ),
    missing=frozenset({"bootsig.bin", "autoboot.txt", "recovery.elf", "dt-blob.bin"}),
)


def fill(version: Path) -> None:
    (version / "vmlinuz").write_bytes(KERNEL)
    (version / "initrd.img").write_bytes(INITRD)
    run(["mkfs.ext4", "-q", "-F", version / "root.ext4", "4M"])


@pytest.mark.parametrize("board", [PI_4, PI_3], ids=["pi-4", "pi-3"])
def test_a_board_comes_from_its_discover_to_its_kernel(board: Board, tmp_path: Path, captures: Path) -> None:
    """Rules 1.23, 2.3, 2.30, 2.31, 6.24."""
    firmware = tmp_path / "firmware"
    for name, size in FIRMWARE.items():
        (firmware / name).parent.mkdir(parents=True, exist_ok=True)
        (firmware / name).write_bytes(some_bytes(size))
    (said,) = (each.payload for file in captures.rglob(board.discover) for each in datagrams(file))
    discover = decode(said)
    assert discover.mac is not None
    make_wire()
    publish_image(tmp_path / "data", arch="arm64", fill=fill)
    guest = plug_in("board", discover.mac)
    daemon = Daemon(tmp_path, CONFIG.format(interface=BRIDGE, firmware=firmware))
    daemon.says("images by")
    daemon.ask("client", "add", str(discover.mac), "--name", "pi", "--image", "debian")

    offer = answer(guest, said)
    assert board.menu + b"\xff" in offer.options[43], "the menu as this board wants it"
    assert (offer.file, offer.options[66]) == (b"bootcode.bin", b"10.9.0.1\0")
    if board is PI_4:  # an older one goes on without
        ack = answer(guest, encode(request(discover, offer)))
        assert (ack.type, ack.yiaddr) == (MessageType.ACK, offer.yiaddr)
    guest.add_address(str(offer.yiaddr))

    got = {name: read(guest, name, tmp_path / "read") for name in board.reads}
    assert {name.rpartition("/")[2] for name, content in got.items() if content is None} == board.missing
    texts = {"config.txt", "cmdline.txt"}
    shelf = {**{name: some_bytes(size) for name, size in FIRMWARE.items()}, "vmlinuz": KERNEL, "initrd.img": INITRD}
    for name, content in got.items():
        plain = name.removeprefix(f"{board.serial}/")
        if content is not None and plain not in texts:
            assert content == shelf[plain], name
    assert b"kernel=vmlinuz\ninitramfs initrd.img followkernel\n" in (got[f"{board.serial}/config.txt"] or b"")
    line = got[f"{board.serial}/cmdline.txt"] or b""
    assert b" netboot.root=nfs:10.9.0.1:" in line
    assert line.count(b"\n") == 1

    told = steps(daemon, discover.mac)
    assert told["initrd-sent"] == ["initrd.img"]
    assert told["kernel-sent"] == ["vmlinuz"]
    assert told["script-sent"][0] == f"{board.serial}/config.txt"
    programs = [name for name in board.reads if name.endswith((".bin", ".elf")) and got[name] is not None]
    assert told["loader-sent"] == programs
    daemon.stop()


def answer(guest: Guest, message: bytes) -> Message:
    """The server's answer to the bytes, which goes to an address that the board does not have yet."""
    with guest.packets() as packets, guest.socket() as sock:
        sock.sendto(message, EVERYONE)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            heard = udp_datagram(packets.recv(4096))
            if heard is not None and heard[0] == IPv4Address("10.9.0.1"):
                return decode(heard[1])
    raise AssertionError("the board was not answered")


def request(discover: Message, offer: Message) -> Message:
    """As the captured board wrote it: it names the server in siaddr, too, and wants nothing by option 55."""
    kept = {code: discover.options[code] for code in (60, 97)}
    options = {53: bytes([MessageType.REQUEST]), 50: offer.yiaddr.packed, 54: offer.options[54], **kept}
    return replace(discover, siaddr=IPv4Address("10.9.0.1"), options=options)


def read(guest: Guest, name: str, to: Path) -> bytes | None:
    """What the board gets by a name, None when it is told that there is nothing."""
    argv = guest.argv("curl", "-sS", "--tftp-blksize", "1468", "-o", str(to), f"tftp://10.9.0.1/{name}")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode == NOT_FOUND:
        return None
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return to.read_bytes()


def steps(daemon: Daemon, mac: MacAddress) -> Mapping[str, list[str]]:
    """The files of each step that the daemon tells of the board, once the last of them is there."""
    wait_for(lambda: daemon.events("initrd-sent"), "end of the board's story")
    kinds = ("loader-sent", "script-sent", "kernel-sent", "initrd-sent")
    told = {kind: [each for each in daemon.events(kind) if each["mac"] == str(mac)] for kind in kinds}
    return {kind: [each["details"]["file"] for each in events] for kind, events in told.items()}
