"""Importing a disk, raw or qcow2: finds the partition with the system and the one with its kernels, and reads both.

The disk is never written, and mounted where nobody else sees it.  Its file systems are read by the kernel, which is as
much trust as plugging it in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError, NotPermitted
from netboot.images.importer.filesystems import ROOTS, FileSystem, Found, ReadAt, look
from netboot.images.importer.from_folder import copy
from netboot.images.importer.options import ImportOptions, Tell
from netboot.images.importer.partitions import Partition, partitions
from netboot.images.importer.qcow2 import HEADER_BYTES, virtual_size
from netboot.images.transfer.writer import TreeWriter
from netboot.system.beneath import open_beneath
from netboot.system.loop import attached_part
from netboot.system.mounts import mounted_nowhere
from netboot.system.qcow import shown

_SYSTEM_SIGNS = (b"etc/os-release", b"usr/lib/os-release")
_INITS = (b"sbin/init", b"usr/sbin/init", b"lib/systemd/systemd", b"usr/lib/systemd/systemd")


@dataclass(frozen=True, slots=True)
class Part:
    """A partition and what begins there; a disk without a table is one part, of number 0."""

    partition: Partition
    found: Found

    @property
    def label(self) -> str:
        return f"{self.partition.number} {self.found.label}" if self.partition.number else self.found.label


def fill(source: Path, writer: TreeWriter, options: ImportOptions, scratch: Path, tell: Tell) -> tuple[str, ...]:
    with source.open("rb") as file:
        return _fill_raw(source, file.fileno(), writer, options, tell)


def fill_qcow2(source: Path, writer: TreeWriter, options: ImportOptions, scratch: Path, tell: Tell) -> tuple[str, ...]:
    with source.open("rb") as file:
        virtual_size(file.read(HEADER_BYTES))
    place = scratch / "disk"
    place.touch()
    with shown(source.resolve(), place.resolve(), log=scratch / "disk.log", read_only=True, alone=True) as raw:
        return fill(raw, writer, options, scratch, tell)


def reader_of(descriptor: int) -> ReadAt:
    def read(offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset) if offset >= 0 else b""

    return read


def parts_of(descriptor: int) -> tuple[Part, ...]:
    """What an open disk consists of."""
    read, size = reader_of(descriptor), os.lseek(descriptor, 0, os.SEEK_END)
    whole = Partition(number=0, offset=0, size_bytes=size, type="")
    # A file system's own mark goes first: a boot sector before it may look like a table.
    first = look(read)
    found = () if first.filesystem else partitions(read, size)
    return tuple(Part(each, look(read, each.offset)) for each in found) or (Part(whole, first),)


def _fill_raw(disk: Path, descriptor: int, writer: TreeWriter, options: ImportOptions, tell: Tell) -> tuple[str, ...]:
    parts = parts_of(descriptor)
    chosen, folder = _find_root(disk, parts, options.partition)
    notices = [f"{chosen.label} was not unmounted cleanly: changes in its journal are left out"] * chosen.found.unclean
    with _mounted(disk, chosen) as top, _folder(top, folder) as root:
        copy(root, writer, tell, total=_used(root))
        lacks_kernel = not _has_kernel(root, b"boot")
    if lacks_kernel and (boot := _find(disk, parts, lambda top: _has_kernel(top, b"."), but=chosen)):
        notices.append(f"/boot is taken from partition {boot.label}")
        with _mounted(disk, boot) as top:
            copy(top, writer, tell, total=_used(top), prefix=b"boot")
    return tuple(notices)


def _find_root(disk: Path, parts: tuple[Part, ...], wanted: int | None) -> tuple[Part, str]:
    """The part that holds the system, and the folder of it that is the system's root."""
    every = parts
    if wanted is not None:
        parts = tuple(part for part in every if part.partition.number == wanted)
        if not parts:
            raise _refusal(f"the disk has no partition {wanted}", every)
    systems: list[tuple[Part, str]] = []
    failures: list[InvalidInput] = []
    for part in parts:
        if part.found.filesystem is not None:
            try:
                with _mounted(disk, part) as top:
                    systems += [(part, folder) for folder in _roots(top, part.found.filesystem)][:1]
            except InvalidInput as error:
                failures.append(error)
    if len(systems) == 1:
        return systems[0]
    if systems:
        named = " and ".join(str(part.partition.number) for part, _ in systems)
        raise InvalidInput(f"partitions {named} each hold a system", hint="choose one with --partition")
    if failures:
        raise failures[0]
    raise _refusal("no system was found on the disk: nothing with /etc/os-release and /sbin/init", parts)


def _refusal(what: str, parts: tuple[Part, ...]) -> InvalidInput:
    there = ", ".join(part.label for part in parts)
    hint = next((f"{part.found.label}: {part.found.hint}" for part in parts if part.found.hint), None)
    return InvalidInput(f"{what} (there is {there})", hint=hint)


def _find(disk: Path, parts: tuple[Part, ...], fits: Callable[[int], bool], *, but: Part) -> Part | None:
    for part in parts:
        if part.found.filesystem is not None and part != but:
            with suppress(InvalidInput), _mounted(disk, part) as top:
                if fits(top):
                    return part
    return None


@contextmanager
def _mounted(disk: Path, part: Part) -> Iterator[int]:
    filesystem = part.found.filesystem
    if filesystem is None:
        raise AssertionError("only what can be mounted is")
    place = part.partition
    with ExitStack() as stack:
        device = stack.enter_context(attached_part(disk, offset=place.offset, size_bytes=place.size_bytes))
        try:
            mount = mounted_nowhere(device, fstype=filesystem.name, options=filesystem.options)
            top = stack.enter_context(mount)
        except NotPermitted:
            raise
        except NetbootError as error:
            raise InvalidInput(
                f"{part.label} cannot be mounted: {error.message}",
                hint=f"is the disk whole, and does this kernel read {filesystem.name}?",
            ) from error
        yield top


def _roots(top: int, filesystem: FileSystem) -> Iterator[str]:
    for folder in ROOTS.get(filesystem.name, ("",)):
        try:
            with _folder(top, folder) as root:
                if any(_has(root, name) for name in _SYSTEM_SIGNS) and any(_has(root, name) for name in _INITS):
                    yield folder
        except (FileNotFoundError, NotADirectoryError):
            continue


@contextmanager
def _folder(top: int, folder: str) -> Iterator[int]:
    descriptor = open_beneath(top, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _has(root: int, name: bytes) -> bool:
    try:
        os.close(open_beneath(root, name, os.O_PATH))
    except OSError:
        return False
    return True


def _has_kernel(root: int, folder: bytes) -> bool:
    try:
        descriptor = open_beneath(root, folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return any(name.startswith("vmlinuz-") for name in os.listdir(descriptor))  # noqa: PTH208 - of a descriptor
    finally:
        os.close(descriptor)


def _used(root: int) -> int:
    state = os.fstatvfs(root)
    return (state.f_blocks - state.f_bfree) * state.f_frsize
