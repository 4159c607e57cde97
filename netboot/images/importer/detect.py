"""What kind of thing is a file that somebody wants imported?  Told by its first bytes, never by its name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from netboot.errors import InvalidInput


class Format(StrEnum):
    """Ways in which a system can come.  The names are values of `--format`."""

    DIRECTORY = "directory"
    TAR = "tar"
    RAW = "raw"
    QCOW2 = "qcow2"
    OCI = "oci"


class Compression(StrEnum):
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    BZIP2 = "bzip2"


_COMPRESSED: Mapping[bytes, Compression] = {
    b"\x1f\x8b": Compression.GZIP,
    b"\xfd7zXZ\0": Compression.XZ,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"BZh": Compression.BZIP2,
}

# What people try, and what to do with it instead: offset, magic, what it is, hint.
_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"KDMV", "a VMware disk", "convert it: qemu-img convert -O qcow2 SOURCE DISK.qcow2"),
    (0, b"# Disk DescriptorFile", "a VMware disk", "convert it: qemu-img convert -O qcow2 SOURCE DISK.qcow2"),
    (64, b"\x7f\x10\xda\xbe", "a VirtualBox disk", "convert it: qemu-img convert -O qcow2 SOURCE DISK.qcow2"),
    (0, b"vhdxfile", "a Hyper-V disk", "convert it: qemu-img convert -O qcow2 SOURCE DISK.qcow2"),
    (0, b"conectix", "a Hyper-V disk", "convert it: qemu-img convert -O qcow2 SOURCE DISK.qcow2"),
    (0, b"PK\x03\x04", "a zip archive", "unpack it, or make a tar of it"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", "unpack it, or make a tar of it"),
    (0, b"070701", "a cpio archive", "unpack it, or make a tar of it"),
    (0, b"!<arch>\n", "a Debian package", "name it to --packages of an import instead"),
    (0, b"\xed\xab\xee\xdb", "an RPM package", "install it into a system first"),
    (0, b"MSWIM\0\0\0", "a Windows image", "only Linux systems can be imported"),
)

# A tar header has its magic here; what was written before 1988 has none, and is told by --format tar.
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"
# As much of a file as `detect` looks at.
HEAD_BYTES = 512


def compression_of(head: bytes) -> Compression | None:
    return next((kind for magic, kind in _COMPRESSED.items() if head.startswith(magic)), None)


def is_tar(head: bytes) -> bool:
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC


def detect(head: bytes, *, is_disk: bool) -> Format:
    """The format of a file that begins so and is not compressed; `is_disk` when partitions or a file system were seen.

    An archive of an OCI image is a tar; that it is more is told by the names in it.
    """
    if head.startswith(b"QFI\xfb"):
        return Format.QCOW2
    if is_tar(head):
        return Format.TAR
    if is_disk:
        return Format.RAW
    for at, magic, what, hint in _OTHERS:
        if head[at : at + len(magic)] == magic:
            raise InvalidInput(f"it is {what}, which cannot be imported", hint=hint)
    raise InvalidInput(
        "its format is unknown",
        hint="it can be a folder, a tar (plain, gz, xz, zst, bz2), a raw or qcow2 disk, or an OCI image",
    )
