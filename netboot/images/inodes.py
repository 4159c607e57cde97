"""Times in an ext4 file system that say when it was made, not what is in it.

A file's times of change and access, and of creation, are those of the tree that the file system was made from: no
program can set the first.  Set to the time of modification in the file system itself, they depend on the content alone.
The layout is that of the kernel's documentation, "ext4 Data Structures and Algorithms"; debugfs(8) does the writing,
since an inode has a checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from netboot.errors import InvalidInput
from netboot.system.commands import run

_SUPERBLOCK, _MAGIC = 1024, 0xEF53
_64BIT = 0x80
_MODE, _MTIME = 0x0, 0x10
# Field of debugfs, its place in an inode of 256 bytes.
_DERIVED: Mapping[str, int] = {"atime": 0x8, "ctime": 0xC, "crtime": 0x90}
_SMALLEST = 0x94  # where crtime ends


def settle_times(file: Path, *, date: int) -> None:
    """Set the derived times of every file in the file system to its time of modification, and its own to `date`."""
    with file.open("rb") as device:
        commands = "".join(f"sif <{inode}> {field} @{time}\n" for inode, field, time in unsettled(device))
    run(["debugfs", "-w", "-f", "-", file], input=commands, env={"E2FSPROGS_FAKE_TIME": str(date)}, timeout_s=600)


def unsettled(device: BinaryIO) -> Iterator[tuple[int, str, int]]:
    """Inodes in use with a field that is not the time of modification, and that time."""
    device.seek(_SUPERBLOCK)
    superblock = device.read(1024)
    inodes, per_group = (struct.unpack_from("<I", superblock, at)[0] for at in (0x0, 0x28))
    blocks_per_group, log_size, incompatible = (
        struct.unpack_from("<I", superblock, at)[0] for at in (0x20, 0x18, 0x60)
    )
    magic, inode_size, descriptor_size = (struct.unpack_from("<H", superblock, at)[0] for at in (0x38, 0x58, 0xFE))
    if magic != _MAGIC or inode_size < _SMALLEST or not per_group or not blocks_per_group:
        raise InvalidInput("it is no ext4 file system that this program makes")
    block_size = 1024 << log_size
    wide = bool(incompatible & _64BIT)
    size = descriptor_size if wide else 32
    for group in range(-(-inodes // per_group)):
        device.seek((1 if block_size > 1024 else 2) * block_size + group * size)
        descriptor = device.read(size)
        low = struct.unpack_from("<I", descriptor, 0x8)[0]
        high = struct.unpack_from("<I", descriptor, 0x28)[0] if wide else 0
        device.seek((high << 32 | low) * block_size)
        table = device.read(per_group * inode_size)
        for index in range(per_group):
            yield from _fields(group * per_group + index + 1, table[index * inode_size : (index + 1) * inode_size])


def _fields(number: int, inode: bytes) -> Iterator[tuple[int, str, int]]:
    if not struct.unpack_from("<H", inode, _MODE)[0]:
        return
    modified = struct.unpack_from("<I", inode, _MTIME)[0]
    for field, at in _DERIVED.items():
        if struct.unpack_from("<I", inode, at)[0] != modified:
            yield number, field, modified
