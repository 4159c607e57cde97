"""Sparse files in tar archives: the map of what is stored, in the four ways in which GNU tar has written it.

The old format has it in the header's own block, 0.0 and 0.1 in pax records, 1.0 before the content; 1.0 is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import Entry
from netboot.images.transfer.fields import decimal, number, padding

Parts = tuple[tuple[int, int], ...]


def sparse_map(numbers: bytes) -> Parts:
    """Offset, length, offset, length ... in decimal, by commas: GNU's sparse formats 0.0 and 0.1."""
    values = [decimal(each, "a sparse file's map") for each in numbers.split(b",")] if numbers else []
    if len(values) % 2:
        raise InvalidInput("a sparse file's map is broken")
    return tuple(zip(values[::2], values[1::2], strict=True))


def old_sparse_map(block: bytes, *, first: bool) -> tuple[Parts, bool]:
    """The parts in a block of GNU's old sparse format, and whether another such block follows."""
    start, count, flag = (386, 4, 482) if first else (0, 21, 504)
    parts = []
    for index in range(count):
        offset, length = (block[at : at + 12] for at in (start + 24 * index, start + 24 * index + 12))
        if not offset.strip(b"\0 "):
            break
        parts.append((number(offset), number(length)))
    return tuple(parts), block[flag : flag + 1] not in (b"\0", b"")


def old_sparse_size(block: bytes) -> int:
    """The real size of a file of GNU's old sparse format."""
    return number(block[483:495])


def sparse_size(extra: Mapping[str, bytes]) -> int:
    """The real size of a file of GNU's later ones: `realsize` in format 1.0, else `size`."""
    value = extra.get("GNU.sparse.realsize", extra.get("GNU.sparse.size", b""))
    return decimal(value, "the size of a sparse file")


def sparse_map_count(text: bytes) -> int:
    """How many parts a map of format 1.0 has, which is its first line."""
    return decimal(text.partition(b"\n")[0], "a sparse file's map")


def checked_map(parts: Parts, *, size: int, stored: int) -> Parts:
    """The map of a sparse file, known to be in order, within the file, and to be as long as what is stored."""
    end = 0
    for offset, length in parts:
        if offset < end or offset + length > size:
            raise InvalidInput("a sparse file's map is broken: its parts overlap or lie beyond its end")
        end = offset + length
    if sum(length for _, length in parts) != stored:
        raise InvalidInput("a sparse file's map does not fit its content")
    # A part of length 0 at the end only tells the size.
    return tuple(part for part in parts if part[1])


def encode_sparse_map(parts: Parts) -> bytes:
    """The map as GNU's sparse format 1.0 puts it before the content: decimal lines, padded to whole blocks."""
    text = b"".join(b"%d\n" % number for number in (len(parts), *(each for part in parts for each in part)))
    return text + bytes(padding(len(text)))


def sparse_records(entry: Entry) -> dict[str, bytes]:
    """The pax records that announce such a map; the entry's own name goes into the first, as GNU tar does."""
    return {
        "GNU.sparse.major": b"1",
        "GNU.sparse.minor": b"0",
        "GNU.sparse.name": entry.path,
        "GNU.sparse.realsize": b"%d" % entry.size,
    }
