"""Files above 4 GiB (rules 4.10, 4.18): sizes that need more than 32 bits, block numbers that wrap again and again.

The file has holes, so it takes no room; marks in it tell whether what arrives is from where it should be.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.tftp.blocks import PacketCache, build
from netboot.tftp.content import Content
from netboot.tftp.packet import ack
from netboot.tftp.terms import Terms
from netboot.tftp.transfer import Blocks, End, Signal, Transfer
from tests.loopback.tftp_kit import serving, udp_client

SIZE = 5 * 2**30 + 7
BLKSIZE = 512
WINDOW = 64
# Block numbers of 16 bits come to 0 again after so many blocks.
TURN = 1 << 16


def mark(block: int) -> bytes:
    return b"block %d" % block


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The blocks around some turns of block numbers begin with their mark, and the last 7 bytes are the end."""
    path = tmp_path_factory.mktemp("huge") / "image"
    with path.open("wb") as file:
        for turn in (0, 1, 2, 3, 2**32 // BLKSIZE // TURN):
            for block in range(max(1, turn * TURN - 2), turn * TURN + 3):
                file.seek((block - 1) * BLKSIZE)
                file.write(mark(block))
        file.seek(SIZE - 7)
        file.write(b"the end")
    assert path.stat().st_size == SIZE
    yield path
    path.unlink()


def test_the_size_is_told_and_blocks_go_on_beyond_three_turns(huge: Path) -> None:
    with serving({b"image": huge}) as served, udp_client() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        options = b"tsize\x000\0blksize\0%d\0windowsize\0%d\0" % (BLKSIZE, WINDOW)
        client.sendto(b"\0\x01image\0octet\0" + options, ("127.0.0.1", served.port))
        oack, server = client.recvfrom(2048)
        assert oack == b"\0\x06tsize\0%d\0blksize\0%d\0windowsize\0%d\0" % (SIZE, BLKSIZE, WINDOW)
        client.connect(server)
        block, seen = 0, []
        client.send(ack(0))
        while block < 3 * TURN + WINDOW:
            packet = client.recv(BLKSIZE + 4)
            if packet[:4] != b"\0\x03" + ((block + 1) & 0xFFFF).to_bytes(2, "big"):
                continue  # a busy machine: the server thought that something was lost
            block += 1
            if (text := packet[4:].rstrip(b"\0")) != b"":
                assert text == mark(block)
                seen.append(block)
            if block % WINDOW == 0:
                client.send(ack(block))
        client.send(b"\0\x05\0\0enough\0")
    around = [each for turn in (1, 2, 3) for each in range(turn * TURN - 2, turn * TURN + 3)]
    assert seen == [1, 2, *around]


@pytest.mark.parametrize("blksize", [512, 1468])
def test_blocks_at_the_end_come_from_beyond_32_bits(huge: Path, blksize: int) -> None:
    descriptor = os.open(huge, os.O_RDONLY)
    content = Content(descriptor, SIZE)
    try:
        last = SIZE // blksize + 1
        chunk = PacketCache(1 << 24).chunk(content, blksize, last)
        assert chunk.first <= last == chunk.end - 1
        assert bytes(chunk.packets).endswith(b"the end")
        assert len(build(content, blksize, last, last + 1).packets) == 4 + SIZE % blksize
        if blksize == BLKSIZE:
            beyond = 2**32 // BLKSIZE + 1  # its first byte is the first that 32 bits cannot count
            packets = bytes(build(content, BLKSIZE, beyond, beyond + 2).packets)
            assert packets[:4] == b"\0\x03" + (beyond & 0xFFFF).to_bytes(2, "big")
            assert packets[4:].startswith(mark(beyond))
    finally:
        content.close()


def test_a_transfer_counts_every_block_of_5_gib() -> None:
    """The arithmetic alone, without bytes: 10 million blocks, 160 turns of the block number."""
    transfer = Transfer(SIZE, Terms(blksize=BLKSIZE, window=WINDOW, oack=((b"blksize", b"512"),)))
    assert transfer.start(0.0) is Signal.SEND_OACK
    now, sent, step = 0.0, 0, transfer.received(ack(0), 0.0)
    while isinstance(step, Blocks):
        assert step.first == sent + 1
        sent = step.end - 1
        now += 0.0001
        step = transfer.received(ack(sent & 0xFFFF), now)
    assert step is End.FINISHED
    assert sent == SIZE // BLKSIZE + 1
    assert transfer.retransmits == 0
