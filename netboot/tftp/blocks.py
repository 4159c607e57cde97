"""DATA packets, ready to send and shared: those of one file at one block size are the same for every client.

Headers and payload are interleaved once for a chunk of blocks, so that a window is one slice and one system
call.  Chunks rather than whole files: the cache keeps within its bound even for a large initrd.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from netboot.tftp.content import Content
from netboot.tftp.packet import Opcode

_HEADER = struct.Struct("!HH")
HEADER_BYTES = _HEADER.size

# A chunk holds a window of 64 blocks of 1468 bytes, and a transfer that outlives the cache entry pins this much.
_CHUNK_BYTES = 128 * 1024
_CHUNK_BLOCKS = 1024


class Chunk(NamedTuple):
    """Blocks `first` to `end` (not included), counted from 1; each takes `blksize` + 4 bytes, the last may be short."""

    first: int
    end: int
    packets: memoryview


def build(content: Content, blksize: int, first: int, end: int) -> Chunk:
    """The packets of these blocks.  Reading may raise OSError or `Unavailable`."""
    payload = memoryview(content.read((first - 1) * blksize, (end - first) * blksize))
    pieces: list[bytes | memoryview] = []
    for index, block in enumerate(range(first, end)):
        pieces.append(_HEADER.pack(Opcode.DATA, block & 0xFFFF))
        pieces.append(payload[index * blksize : (index + 1) * blksize])
    return Chunk(first, end, memoryview(b"".join(pieces)))


class PacketCache:
    """The most recently used chunks, bounded in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._chunks: OrderedDict[tuple[Hashable, int, int], Chunk] = OrderedDict()
        self.used_bytes = 0

    def chunk(self, content: Content, blksize: int, block: int) -> Chunk:
        """The chunk that holds `block`, one of the file's blocks."""
        # A power of two, so that no usual window lies across two chunks and costs a call more.
        per_chunk = 1 << (max(1, min(_CHUNK_BLOCKS, _CHUNK_BYTES // blksize)).bit_length() - 1)
        index = (block - 1) // per_chunk
        key = (content.key, blksize, index)
        if (held := self._chunks.get(key)) is not None:
            self._chunks.move_to_end(key)
            return held
        first = index * per_chunk + 1
        end = min(first + per_chunk, content.size // blksize + 2)
        return self._keep(key, build(content, blksize, first, end))

    def _keep(self, key: tuple[Hashable, int, int], chunk: Chunk) -> Chunk:
        self._chunks[key] = chunk
        self.used_bytes += chunk.packets.nbytes
        while self.used_bytes > self._max_bytes and self._chunks:
            _, oldest = self._chunks.popitem(last=False)
            self.used_bytes -= oldest.packets.nbytes
        return chunk
