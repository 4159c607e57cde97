"""Partition tables, MBR and GPT, read from a disk that may be anybody's: every count and place is bounded.

MBR with logical partitions as PCs have had them since DOS 3.3; GPT as in the UEFI specification, chapter 5, with its
checksums.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from netboot.errors import InvalidInput
from netboot.images.importer.filesystems import ReadAt

_SIGNATURE = b"\x55\xaa"
_PROTECTIVE = 0xEE
_EXTENDED = (0x05, 0x0F, 0x85)
# Disks have 512-byte sectors, or 4096, which shows only in where a GPT lies.
_SECTORS = (512, 4096)
_LOGICAL_LIMIT = 128
_GPT_ENTRIES, _GPT_ENTRY_BYTES = 1024, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition; `number` is the one that Linux gives it, `type` the MBR's byte or GPT's UUID, as text."""

    number: int
    offset: int
    size_bytes: int
    type: str
    name: str = ""


def partitions(read: ReadAt, size_bytes: int) -> tuple[Partition, ...]:
    """The partitions of a disk, none if it has no table; `InvalidInput` for a table that is damaged."""
    boot = read(0, 512)
    if boot[510:512] != _SIGNATURE:
        return ()
    types = [boot[446 + 16 * index + 4] for index in range(4)]
    if _PROTECTIVE in types:
        return _gpt(read, size_bytes)
    # A file system's boot sector (FAT, an ISO's hybrid) has the same signature, and code where the table would be.
    if any(boot[446 + 16 * index] not in (0x00, 0x80) for index in range(4)):
        return ()
    return tuple(each for each in _mbr(read, boot) if each.offset + each.size_bytes <= size_bytes)


def _mbr(read: ReadAt, boot: bytes) -> Iterator[Partition]:
    for index in range(4):
        kind, start, sectors = _mbr_entry(boot, index)
        if kind in _EXTENDED:
            yield from _logical(read, start)
        elif kind and sectors:
            yield Partition(number=index + 1, offset=start * 512, size_bytes=sectors * 512, type=f"{kind:02x}")


def _logical(read: ReadAt, extended: int) -> Iterator[Partition]:
    """The chain of tables in an extended partition: each has one partition, and where the next table is."""
    at = extended
    for number in range(5, 5 + _LOGICAL_LIMIT):
        table = read(at * 512, 512)
        if table[510:512] != _SIGNATURE:
            return
        kind, start, sectors = _mbr_entry(table, 0)
        if kind and sectors:
            yield Partition(number=number, offset=(at + start) * 512, size_bytes=sectors * 512, type=f"{kind:02x}")
        kind, start, _ = _mbr_entry(table, 1)
        if kind not in _EXTENDED:
            return
        at = extended + start
    raise InvalidInput(f"the partition table has more than {_LOGICAL_LIMIT} logical partitions, or goes in a circle")


def _mbr_entry(table: bytes, index: int) -> tuple[int, int, int]:
    """Type, first sector, number of sectors."""
    entry = table[446 + 16 * index : 462 + 16 * index]
    return entry[4], int.from_bytes(entry[8:12], "little"), int.from_bytes(entry[12:16], "little")


def _gpt(read: ReadAt, size_bytes: int) -> tuple[Partition, ...]:
    for sector in _SECTORS:
        # The first header, else its copy in the last sector.
        for at in (sector, size_bytes - sector):
            if (found := _gpt_at(read, at, sector)) is not None:
                return tuple(each for each in found if each.offset + each.size_bytes <= size_bytes)
    raise InvalidInput("the disk's partition table (GPT) is damaged, both copies of it", hint="repair it with gdisk")


def _gpt_at(read: ReadAt, at: int, sector: int) -> tuple[Partition, ...] | None:
    """The partitions by the header at this place; None if there is none, or it is damaged."""
    header = read(at, 512)
    header_bytes = int.from_bytes(header[12:16], "little")
    if header[:8] != b"EFI PART" or not 92 <= header_bytes <= 512:
        return None
    blanked = header[:16] + bytes(4) + header[20:header_bytes]
    if zlib.crc32(blanked) != int.from_bytes(header[16:20], "little"):
        return None
    table, count, entry_bytes = (int.from_bytes(header[a:b], "little") for a, b in ((72, 80), (80, 84), (84, 88)))
    if count > _GPT_ENTRIES or not 128 <= entry_bytes <= _GPT_ENTRY_BYTES:
        return None
    entries = read(table * sector, count * entry_bytes)
    if zlib.crc32(entries) != int.from_bytes(header[88:92], "little"):
        return None
    return tuple(
        found
        for index in range(count)
        if (found := _gpt_entry(entries[index * entry_bytes :][:entry_bytes], index + 1, sector))
    )


def _gpt_entry(entry: bytes, number: int, sector: int) -> Partition | None:
    if not any(entry[:16]):
        return None
    first, last = int.from_bytes(entry[32:40], "little"), int.from_bytes(entry[40:48], "little")
    return Partition(
        number=number,
        offset=first * sector,
        size_bytes=max(0, last - first + 1) * sector,
        type=str(uuid.UUID(bytes_le=entry[:16])),
        name=entry[56:128].decode("utf-16-le", "replace").partition("\0")[0],
    )
