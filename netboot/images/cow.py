"""The kernel's own format for changed blocks: a dm-snapshot persistent store, version 1.

A file of chunks.  Chunk 0 is the header; then areas follow, each a chunk of records (which chunk of the origin, and
which chunk of this file has its new content) and the chunks that these records may name.  The first record that
names chunk 0 ends the list.  Any kernel activates such a file (`snapshot`) or merges it (`snapshot-merge`) with
`dmsetup` alone.  Source: Linux drivers/md/dm-snap-persistent.c; numbers are little-endian.

What is written here is sorted, allocated in order, and has a hole wherever the content is zeros.  What is read
may also be what a kernel wrote: in order of arrival, its last area partly filled, or with its last records already
merged and cleared.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from netboot.errors import InvalidInput
from netboot.images.blocks import PIECE_BYTES, Patch, Source, Target, split_zeros
from netboot.images.ranges import Ranges

CHUNK_BYTES = 4096
SECTOR_BYTES = 512
MAX_CHUNK_BYTES = PIECE_BYTES

# Magic, valid, version, sectors a chunk.
_HEADER = Struct("<4sIII")
_MAGIC = b"SnAp"
_RECORD_BYTES = 16
# File systems end long before; offsets in bytes stay within 63 bits.
_MAX_IMAGE_BYTES = 1 << 62


class CowError(InvalidInput):
    """A file that is no usable copy-on-write device, or that does not fit what it is applied to."""


class Run(NamedTuple):
    """Consecutive chunks of the origin whose new content lies in consecutive chunks of the file."""

    old: int
    new: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Cow:
    """A copy-on-write device that was opened: its records are in memory, 16 bytes each, its content stays where it is.

    `olds[i]` is a chunk of the origin, in ascending order, `news[i]` the chunk of `source` with its new content.
    """

    source: Source
    chunk_bytes: int
    olds: array[int]
    news: array[int]

    def __len__(self) -> int:
        return len(self.olds)

    @property
    def changed_bytes(self) -> int:
        return len(self.olds) * self.chunk_bytes

    @property
    def ranges(self) -> Ranges:
        """What it changes, in bytes of the origin."""
        size = self.chunk_bytes
        return Ranges.of((run.old * size, (run.old + run.chunks) * size) for run in self.runs())

    def runs(self, start: int = 0, stop: int = _MAX_IMAGE_BYTES) -> Iterator[Run]:
        """Its records between two chunks of the origin, as runs of at most `PIECE_BYTES`."""
        most = PIECE_BYTES // self.chunk_bytes
        at, end = bisect_left(self.olds, start), bisect_left(self.olds, stop)
        while at < end:
            old, new, count = self.olds[at], self.news[at], 1
            while (
                count < most
                and at + count < end
                and self.olds[at + count] == old + count
                and self.news[at + count] == new + count
            ):
                count += 1
            yield Run(old, new, count)
            at += count

    def content(self, run: Run) -> bytes:
        return self.source.read(run.new * self.chunk_bytes, run.chunks * self.chunk_bytes)

    def patches(self) -> Iterator[Patch]:
        """All that it changes, in order, at most `PIECE_BYTES` at once."""
        for run in self.runs():
            yield Patch(run.old * self.chunk_bytes, self.content(run))


def open_cow(source: Source) -> Cow:
    """Read header and records; `CowError` unless every record is usable.  Only these are read."""
    chunk_bytes = _read_header(source)
    chunks = source.size_bytes // chunk_bytes
    olds, news = array("Q"), array("Q")
    area = 1
    while (found := _read_area(source, area, chunk_bytes, chunks)) is not None:
        olds.extend(found[::2])
        news.extend(found[1::2])
        if len(found) * 8 < chunk_bytes:
            break
        area += 1 + chunk_bytes // _RECORD_BYTES
    _check_records(olds, news, chunk_bytes, chunks)
    if any(olds[at] > olds[at + 1] for at in range(len(olds) - 1)):
        order = sorted(range(len(olds)), key=olds.__getitem__)
        olds, news = array("Q", (olds[at] for at in order)), array("Q", (news[at] for at in order))
    return Cow(source, chunk_bytes, olds, news)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a copy-on-write device came to: its file's size, how many chunks it changes, and how much is not a hole."""

    size_bytes: int
    records: int
    chunk_bytes: int
    stored_bytes: int

    @property
    def changed_bytes(self) -> int:
        return self.records * self.chunk_bytes


def write_cow(target: Target, patches: Iterable[Patch], *, chunk_bytes: int = CHUNK_BYTES) -> Written:
    """Write ascending patches of whole chunks to `target`, which is emptied first."""
    if not _is_chunk(chunk_bytes):
        raise ValueError(f"no chunks of {chunk_bytes} bytes")
    target.resize(0)
    target.write(0, _HEADER.pack(_MAGIC, 1, 1, chunk_bytes // SECTOR_BYTES))
    writer = _Writer(target, chunk_bytes)
    for patch in patches:
        old, rest = divmod(patch.offset, chunk_bytes)
        if rest or len(patch.data) % chunk_bytes or old < writer.after:
            raise ValueError(f"a patch of {len(patch.data)} bytes at {patch.offset} is out of order or no whole chunks")
        writer.put(old, patch.data)
    return writer.finish()


class _Writer:
    """Fills one area after another: its chunks at once, its records when it is full."""

    def __init__(self, target: Target, chunk_bytes: int) -> None:
        self._target = target
        self._chunk_bytes = chunk_bytes
        self._capacity = chunk_bytes // _RECORD_BYTES
        self._area = 1
        self._olds: list[int] = []
        self._records = 0
        self._stored = 1
        self.after = 0

    def put(self, old: int, data: bytes) -> None:
        size = self._chunk_bytes
        while data:
            count = min(len(data) // size, self._capacity - len(self._olds))
            self._write_chunks((self._area + 1 + len(self._olds)) * size, data[: count * size])
            self._olds.extend(range(old, old + count))
            if len(self._olds) == self._capacity:
                self._write_area()
                self._records += self._capacity
                self._area, self._olds = self._area + 1 + self._capacity, []
            old, data = old + count, data[count * size :]
        self.after = old

    def finish(self) -> Written:
        """The last area is there even if it is empty: where all records of one are used, the kernel reads on."""
        if self._olds:
            self._write_area()
        size = (self._area + 1 + len(self._olds)) * self._chunk_bytes
        self._target.resize(size)
        return Written(
            size_bytes=size,
            records=self._records + len(self._olds),
            chunk_bytes=self._chunk_bytes,
            stored_bytes=self._stored * self._chunk_bytes,
        )

    def _write_chunks(self, offset: int, data: bytes) -> None:
        for start, stop, is_zero in split_zeros(data, self._chunk_bytes):
            if not is_zero:
                self._target.write(offset + start, data[start:stop])
                self._stored += (stop - start) // self._chunk_bytes

    def _write_area(self) -> None:
        first = self._area + 1
        pairs = (word for at, old in enumerate(self._olds) for word in (old, first + at))
        records = _little_endian(array("Q", pairs)).tobytes()
        self._target.write(self._area * self._chunk_bytes, records.ljust(self._chunk_bytes, b"\0"))
        self._stored += 1


def _read_header(source: Source) -> int:
    magic, valid, version, sectors = _HEADER.unpack(source.read(0, _HEADER.size))
    if magic != _MAGIC:
        raise CowError("this is no copy-on-write device: it does not begin with SnAp")
    if version != 1:
        raise CowError(f"a copy-on-write device of version {version} is unknown")
    if valid != 1:
        raise CowError(
            "the kernel has marked this copy-on-write device as invalid", hint="it had run full: make it anew"
        )
    if not _is_chunk(sectors * SECTOR_BYTES):
        raise CowError(f"the copy-on-write device has chunks of {sectors} sectors: no power of two, or too large")
    return int(sectors) * SECTOR_BYTES


def _is_chunk(size_bytes: int) -> bool:
    return SECTOR_BYTES <= size_bytes <= MAX_CHUNK_BYTES and size_bytes & (size_bytes - 1) == 0


def _read_area(source: Source, area: int, chunk_bytes: int, chunks: int) -> array[int] | None:
    """The records of one area, up to the one that ends the list; None for an area without any."""
    if area >= chunks:
        raise CowError("the copy-on-write device is cut off: its list of chunks has no end")
    words = _little_endian(array("Q", source.read(area * chunk_bytes, chunk_bytes)))
    try:
        end = words[1::2].index(0)
    except ValueError:
        return words
    if any(words[2 * end :]):
        raise CowError("the copy-on-write device has records behind the end of its list")
    return words[: 2 * end] or None


def _check_records(olds: array[int], news: array[int], chunk_bytes: int, chunks: int) -> None:
    if not olds:
        return
    if max(olds) >= _MAX_IMAGE_BYTES // chunk_bytes:
        raise CowError(f"the copy-on-write device changes chunk {max(olds)}, which no image has")
    if max(news) >= chunks:
        raise CowError(f"the copy-on-write device is cut off: chunk {max(news)} is missing")
    period = 1 + chunk_bytes // _RECORD_BYTES
    if any((new - 1) % period == 0 for new in news):
        raise CowError("the copy-on-write device takes part of its own list for content")
    if len(set(olds)) != len(olds):
        raise CowError("the copy-on-write device changes a chunk twice")
    if len(set(news)) != len(news):
        raise CowError("the copy-on-write device uses a chunk twice")


def _little_endian(words: array[int]) -> array[int]:
    """From or to the byte order of the format."""
    if sys.byteorder == "big":
        words.byteswap()
    return words
