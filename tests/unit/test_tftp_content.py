"""Files, names, packets ready to send, and limits, without a socket."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from netboot.errors import InvalidInput, Unavailable
from netboot.model.event import EventKind
from netboot.tftp.blocks import Chunk, PacketCache, build
from netboot.tftp.content import NETASCII_MAX_BYTES, BootFile, Content, Meaning, Missing, OpenFiles, as_netascii
from netboot.tftp.events import TransferEvent, TransferKind, boot_event
from netboot.tftp.limits import TftpLimits, ignored
from netboot.tftp.packet import Data, ErrorCode, data, decode
from netboot.tftp.static import StaticFiles
from tests.kit import MAC, OTHER_MAC

PEER = IPv4Address("10.9.0.50")


def read(found: BootFile | Missing) -> bytes:
    assert isinstance(found, BootFile), found
    assert isinstance(found.content, int)
    with os.fdopen(found.content, "rb") as file:
        content = file.read()
    assert len(content) == found.size
    return content


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "boot").mkdir(parents=True)
    (root / "boot" / "grub.cfg").write_text("inside")
    (root / "caf\udce9").write_text("bytes")
    (tmp_path / "secret").write_text("outside")
    (root / "private").write_text("private")
    (root / "private").chmod(0o600)
    (root / "link").symlink_to("../secret")
    (root / "linked").symlink_to("..")
    os.mkfifo(root / "fifo", 0o644)
    return root


@pytest.mark.parametrize(
    "name",
    [
        b"boot/grub.cfg",
        b"/boot/grub.cfg",
        b"//boot//./grub.cfg",
        b"\\boot\\grub.cfg",
        b"boot/grub.cfg\xff",
        b"boot/grub.cfg  ",
    ],
)
def test_spellings_of_a_file(tree: Path, name: bytes) -> None:
    assert read(StaticFiles(tree).open(name)) == b"inside"


def test_names_are_bytes(tree: Path) -> None:
    assert read(StaticFiles(tree).open(b"caf\xe9")) == b"bytes"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (b"../secret", ErrorCode.ACCESS),
        (b"boot/../../secret", ErrorCode.ACCESS),
        (b"..\\secret", ErrorCode.ACCESS),
        (b"/../secret", ErrorCode.ACCESS),
        (b"link", ErrorCode.NOT_FOUND),
        (b"linked/secret", ErrorCode.NOT_FOUND),
        (b"private", ErrorCode.ACCESS),
        (b"fifo", ErrorCode.NOT_FOUND),
        (b"boot", ErrorCode.NOT_FOUND),
        (b"boot/", ErrorCode.NOT_FOUND),
        (b"/", ErrorCode.NOT_FOUND),
        (b"%2e%2e/secret", ErrorCode.NOT_FOUND),
        (b"C:\\secret", ErrorCode.NOT_FOUND),
        (b"BOOT/GRUB.CFG", ErrorCode.NOT_FOUND),
        (b"boot/grub.cfg/x", ErrorCode.NOT_FOUND),
        (b"x" * 5000, ErrorCode.NOT_FOUND),
        (b"/proc/self/environ", ErrorCode.NOT_FOUND),
    ],
)
def test_nothing_else_is_reached(tree: Path, name: bytes, code: ErrorCode) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - Path.iterdir holds a descriptor itself
    found = StaticFiles(tree).open(name)
    assert isinstance(found, Missing)
    assert found.code is code
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_packets_are_those_of_the_codec() -> None:
    content = Content(bytes(range(250)) * 4, 1000)
    chunk = build(content, 512, 1, 3)
    assert bytes(chunk.packets[:516]) == data(1, content.read(0, 512))
    assert decode(bytes(chunk.packets[516:])) == Data(2, content.read(512, 488))


@pytest.mark.parametrize("blksize", [8, 512, 1468, 65464])
def test_every_block_is_in_its_chunk(blksize: int) -> None:
    size = blksize * 3 if blksize > 2000 else blksize * 300
    content = Content(os.urandom(size), size)
    cache = PacketCache(10**9)
    payload = b""
    for block in range(1, size // blksize + 2):
        chunk = cache.chunk(content, blksize, block)
        assert chunk.first <= block < chunk.end
        start = (block - chunk.first) * (blksize + 4)
        packet = decode(bytes(chunk.packets[start : start + blksize + 4]))
        assert isinstance(packet, Data)
        assert packet.block == block
        payload += packet.payload
    assert payload == content.read(0, size)


def test_the_cache_keeps_within_its_bound_and_shares() -> None:
    cache = PacketCache(300_000)
    content = Content(bytes(2_000_000), 2_000_000)
    first = cache.chunk(content, 1024, 1)
    assert cache.chunk(content, 1024, 2).packets.obj is first.packets.obj
    for block in range(1, 2_000_000 // 1024, 50):
        cache.chunk(content, 1024, block)
        assert cache.used_bytes <= 300_000
    assert cache.chunk(content, 1024, 1) == first


def test_of_a_file_larger_than_the_bound_a_part_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from end to end, again and again: giving up what was used longest ago would never find anything."""
    content, cache = Content(bytes(1_500_000), 1_500_000), PacketCache(1_000_000)
    built: list[int] = []

    def counted(content: Content, blksize: int, first: int, end: int) -> Chunk:
        built.append(first)
        return build(content, blksize, first, end)

    monkeypatch.setattr("netboot.tftp.blocks.build", counted)
    asked = [block for _ in range(10) for block in range(1, 1_500_000 // 1024, 64)]
    for block in asked:
        cache.chunk(content, 1024, block)
    assert len(set(built)) < len(built) < len(asked) // 2


def test_a_chunk_larger_than_the_cache_is_served_and_not_kept() -> None:
    content = Content(bytes(100_000), 100_000)
    cache = PacketCache(1000)
    assert cache.chunk(content, 1024, 1).end > 1
    assert cache.used_bytes == 0


def test_a_thousand_clients_of_a_file_hold_one_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "loader"
    path.write_bytes(b"x" * 1000)
    files = OpenFiles()
    held = [files.share(BootFile(content=os.open(path, os.O_RDONLY), size=1000)) for _ in range(5)]
    assert len({id(content) for content in held}) == 1
    assert held[0].read(990, 100) == b"x" * 10
    for content in held:
        files.release(content)
    assert len(files) == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        held[0].read(0, 1)


def test_a_file_that_shrinks_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "loader"
    path.write_bytes(b"x" * 1000)
    content = Content(os.open(path, os.O_RDONLY), 1000)
    path.write_bytes(b"x" * 10)
    with pytest.raises(Unavailable):
        content.read(0, 512)
    content.close()


def test_netascii() -> None:
    text = b"a\nb\rc\r\n"
    assert as_netascii(BootFile(content=text, size=len(text))).content == b"a\r\nb\r\0c\r\0\r\n"
    with pytest.raises(InvalidInput):
        as_netascii(BootFile(content=b"", size=NETASCII_MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("peer", "local", "answered"),
    [
        (("10.9.0.50", 2070), "10.9.0.1", True),
        (("10.9.0.50", 0), "10.9.0.1", False),
        (("10.9.0.50", 69), "10.9.0.1", False),
        (("10.9.0.255", 2070), "10.9.0.1", False),
        (("255.255.255.255", 2070), "10.9.0.1", False),
        (("224.0.0.1", 2070), "10.9.0.1", False),
        (("0.0.0.0", 2070), "10.9.0.1", False),
        (("192.0.2.1", 2070), "10.9.0.1", False),
        (("10.9.0.50", 2070), None, False),
    ],
)
def test_who_is_answered(peer: tuple[str, int], local: str | None, answered: bool) -> None:
    limits = TftpLimits(served=(IPv4Network("10.9.0.0/24"),))
    why_not = ignored(peer, IPv4Address(local) if local else None, port=69, limits=limits)
    assert (why_not is None) == answered


def _transfer(kind: TransferKind, meaning: Meaning | None) -> TransferEvent:
    return TransferEvent(kind=kind, peer=PEER, name="ipxe/x", size=9, seconds=0.5, reason="why", meaning=meaning)


def test_what_a_transfer_tells_about_a_boot() -> None:
    loader = Meaning(kind=EventKind.LOADER_SENT)
    sent = boot_event(_transfer(TransferKind.FINISHED, loader), at=7.0, owner_of={PEER: MAC}.get)
    assert sent is not None
    assert (sent.at, sent.kind, sent.mac) == (7.0, EventKind.LOADER_SENT, MAC)
    assert sent.details == {"file": "ipxe/x", "bytes": 9, "seconds": 0.5, "by": "tftp"}
    failed = boot_event(_transfer(TransferKind.FAILED, loader), at=7.0, owner_of={PEER: MAC}.get)
    assert failed is not None
    assert (failed.kind, failed.details["reason"]) == (EventKind.TRANSFER_FAILED, "why")
    named = Meaning(kind=EventKind.SCRIPT_SENT, mac=OTHER_MAC)
    script = boot_event(_transfer(TransferKind.FINISHED, named), at=7.0, owner_of={PEER: MAC}.get)
    assert script is not None
    assert script.mac == OTHER_MAC


@pytest.mark.parametrize("kind", [TransferKind.PROBE, TransferKind.MISSING])
def test_probes_are_no_part_of_the_story(kind: TransferKind) -> None:
    meaning = Meaning(kind=EventKind.LOADER_SENT)
    assert boot_event(_transfer(kind, meaning), at=0.0, owner_of={PEER: MAC}.get) is None
