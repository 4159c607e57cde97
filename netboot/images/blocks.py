"""Images as bytes at offsets, wherever they come from: what deltas and hash trees are made of and written to.

An image has no end here: behind its last byte it reads as zeros.  So versions of different sizes compare without a
special case, and how large each is stays a fact of its own.  A file on disk is `system.sparse.SparseFile`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from netboot.images.ranges import Ranges, Span, pieces

# As much as is read, compared or written at once: a multiple of every size of chunk.
PIECE_BYTES = 1 << 20


class Source(Protocol):
    """What can be read at any offset."""

    @property
    def size_bytes(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes; zeros from the end on."""
        ...

    def data(self, start: int, stop: int) -> Iterable[Span]:
        """Where between the two, in order, something other than zeros may be."""
        ...


class Target(Source, Protocol):
    """What can be written to as well."""

    def write(self, offset: int, data: bytes) -> None: ...

    def zero(self, offset: int, size: int) -> None:
        """Zeros, which take no room if that is possible.  Does not change the size."""
        ...

    def resize(self, size_bytes: int) -> None:
        """Cut off the end, or grow by zeros."""
        ...


class Patch(NamedTuple):
    """New content for whole chunks, at an offset in bytes."""

    offset: int
    data: bytes


# Told the bytes that were looked at since its last call.
Advance = Callable[[int], None]


def unheard(size_bytes: int) -> None:
    """An `Advance` that nobody watches."""


def data_of(source: Source, stop: int | None = None) -> Ranges:
    """All of a source but its holes."""
    return Ranges.of(source.data(0, source.size_bytes if stop is None else stop))


def split_zeros(data: bytes, unit_bytes: int) -> Iterator[tuple[int, int, bool]]:
    """`data` as runs of whole units: start, stop, whether they are all zeros."""
    zeros = bytes(unit_bytes)
    start, was_zero = 0, False
    for at in range(0, len(data), unit_bytes):
        # The first byte tells most units that are not zeros, without a copy.
        is_zero = data[at] == 0 and data[at : at + unit_bytes] == zeros[: len(data) - at]
        if is_zero is not was_zero:
            if at:
                yield start, at, was_zero
            start, was_zero = at, is_zero
    if data:
        yield start, len(data), was_zero


def copy(source: Source, target: Target, *, unit_bytes: int = 4096, advance: Advance = unheard) -> None:
    """Make `target`, whatever it was, the same as `source`, with holes for zeros."""
    target.resize(0)
    for span in Ranges.of(source.data(0, source.size_bytes)).aligned(unit_bytes):
        for start, stop in pieces(span[0], min(span[1], source.size_bytes), PIECE_BYTES):
            data = source.read(start, stop - start)
            for first, last, is_zero in split_zeros(data, unit_bytes):
                if not is_zero:
                    target.write(start + first, data[first:last])
            advance(stop - start)
    target.resize(source.size_bytes)
