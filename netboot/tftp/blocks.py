"""DATA packets, ready to send and shared: those of one file at one block size are the same for every client.

Headers and payload are interleaved once for a chunk of blocks, so that a window is one slice and one system
call.  Chunks rather than whole files: the cache keeps within its bound even for a large initrd.
"""

from __future__ import annotations

import random
import struct
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


_Key = tuple[Hashable, int, int]


class PacketCache:
    """Chunks that were sent, bounded in bytes.

    The one that makes room is drawn by lot.  Files are read from end to end: when one is larger than the bound,
    the chunk that was used longest ago is the very next to be wanted, and a cache that gives it up never hits.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._chunks: dict[_Key, Chunk] = {}
        self._keys: list[_Key] = []
        self._lot = random.Random(0)  # noqa: S311 - a choice, not a secret
        self.used_bytes = 0

    def chunk(self, content: Content, blksize: int, block: int) -> Chunk:
        """The chunk that holds `block`, one of the file's blocks."""
        # A power of two, so that no usual window lies across two chunks and costs a call more.
        per_chunk = 1 << (max(1, min(_CHUNK_BLOCKS, _CHUNK_BYTES // blksize)).bit_length() - 1)
        index = (block - 1) // per_chunk
        key = (content.key, blksize, index)
        if (held := self._chunks.get(key)) is not None:
            return held
        first = index * per_chunk + 1
        end = min(first + per_chunk, content.size // blksize + 2)
        return self._keep(key, build(content, blksize, first, end))

    def _keep(self, key: _Key, chunk: Chunk) -> Chunk:
        size = chunk.packets.nbytes
        while self._keys and self.used_bytes + size > self._max_bytes:
            self._give_up()
        if size <= self._max_bytes:
            self._chunks[key] = chunk
            self._keys.append(key)
            self.used_bytes += size
        return chunk

    def _give_up(self) -> None:
        drawn = self._lot.randrange(len(self._keys))
        self._keys[drawn], self._keys[-1] = self._keys[-1], self._keys[drawn]
        self.used_bytes -= self._chunks.pop(self._keys.pop()).packets.nbytes
