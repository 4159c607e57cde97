"""Which file system, or what else, begins at a place of a disk: told by the marks that each leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Gives so many bytes at an offset of the disk; fewer where it ends.
ReadAt = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One that can be mounted: the kernel's name, and the options with which its journal is left alone."""

    name: str
    options: tuple[str, ...] = ()


# Offset, mark, what it is.  Longer marks first where one is part of another.
_MOUNTED: tuple[tuple[int, bytes, FileSystem], ...] = (
    (1024 + 56, b"\x53\xef", FileSystem("ext4", ("noload",))),
    (0, b"XFSB", FileSystem("xfs", ("norecovery", "nouuid"))),
    (0x10040, b"_BHRfS_M", FileSystem("btrfs", ("rescue=nologreplay",))),
    (0, b"hsqs", FileSystem("squashfs")),
    (1024, b"\xe2\xe1\xf5\xe0", FileSystem("erofs")),
)

# What is seen on disks and holds no system that could be read here: what it is, and what to do.
_OTHERS: tuple[tuple[int, bytes, str, str | None], ...] = (
    (512 + 24, b"LVM2 001", "LVM", "activate it and import what is in it: vgchange -ay, then mount, then the folder"),
    (0, b"LUKS\xba\xbe", "encrypted (LUKS)", "open and mount it, then import the folder"),
    (0, b"-FVE-FS-", "encrypted (BitLocker)", None),
    (4096, b"\xfc\x4e\x2b\xa9", "RAID", "assemble and mount it, then import the folder"),
    (4086, b"SWAPSPACE2", "swap", None),
    (82, b"FAT32   ", "FAT", None),
    (54, b"FAT1", "FAT", None),
    (3, b"EXFAT   ", "exFAT", None),
    (3, b"NTFS    ", "NTFS", None),
    (32769, b"CD001", "an optical disc", "import the system it installs, or the squashfs file on it"),
    (0x10020, b"\x10\x20\xf5\xf2", "F2FS", "mount it and import the folder"),
    (0x18, b"\xf0\x16\xf5\xca", "bcachefs", "mount it and import the folder"),
)

# In an ext4 superblock: what must be understood, of which this bit says that the journal holds changes.
_EXT4_INCOMPAT_AT, _EXT4_RECOVER = 1024 + 96, 0x4


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What begins at a place: a file system, or a thing with a name and perhaps a hint; unknown without both."""

    filesystem: FileSystem | None = None
    other: str | None = None
    hint: str | None = None
    unclean: bool = False

    @property
    def label(self) -> str:
        return self.filesystem.name if self.filesystem else self.other or "unknown"


def look(read: ReadAt, offset: int = 0) -> Found:
    """What begins at `offset`."""
    for at, mark, filesystem in _MOUNTED:
        if read(offset + at, len(mark)) == mark:
            flags = int.from_bytes(read(offset + _EXT4_INCOMPAT_AT, 4), "little")
            return Found(filesystem=filesystem, unclean=filesystem.name == "ext4" and bool(flags & _EXT4_RECOVER))
    for at, mark, name, hint in _OTHERS:
        if read(offset + at, len(mark)) == mark:
            return Found(other=name, hint=hint)
    return Found()


# Where the root of a system may be, if not at the file system's top: subvolumes of Ubuntu and openSUSE, Fedora, Debian.
ROOTS: Mapping[str, tuple[str, ...]] = {"btrfs": ("", "@", "root", "@rootfs")}
