"""Writing a tree beneath a folder, whatever its maker had in mind.

Every name is resolved by the kernel as if the folder were the whole system, so neither `..` nor a link that came
earlier leads out of it; the last part of a name is never followed.  How much and how many may be written is bounded
beforehand: an archive of some kilobytes can hold terabytes.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from netboot.errors import InvalidInput, NetbootError, Unavailable
from netboot.images.transfer.attributes import dress
from netboot.images.transfer.content import solid, write_at
from netboot.images.transfer.entry import DEVICES, Entry, Kind, join, show
from netboot.images.transfer.folders import Folders
from netboot.images.transfer.removal import remove_content, remove_name
from netboot.images.transfer.tar import Chunks, Item
from netboot.system.beneath import open_beneath

_NODES = {Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a tree may at most consist of.  A whole desktop has half a million files, and few device nodes."""

    size_bytes: int = 64 << 30
    files: int = 2_000_000
    devices: int = 1000


class TreeWriter:
    """Writes files beneath the folder `tree`, which is there; a context, at whose end the folders get their times.

    `devices` are the device nodes that were written.
    """

    def __init__(self, tree: Path, limits: Limits = Limits()) -> None:
        self._folders = Folders(tree, made=self._count_file)
        self._limits = limits
        self._times: dict[bytes, int] = {}
        self._written = self._count = 0
        self.devices: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._set_times()
        finally:
            self._folders.close()

    def add_all(self, items: Iterable[Item]) -> None:
        for entry, chunks in items:
            self.add(entry, chunks)

    def add(self, entry: Entry, chunks: Chunks) -> bytes:
        """Write one file in place of what has its name; a folder stays, and gets the new rights.

        Gives the file's path with the links in it resolved, which is its one name in the tree.
        """
        try:
            return self._add(entry, chunks)
        except OSError as error:
            raise _failure(entry, error) from error

    def remove(self, path: bytes, *, keep: Set[bytes] = frozenset(), itself: bool = True) -> None:
        """Remove a file, or a folder and all below it, but for the resolved paths `keep` and the folders they are in.

        Without `itself` only what is below.  What is not there is no error.
        """
        folder, _, name = path.rpartition(b"/")
        with suppress(FileNotFoundError, NotADirectoryError):
            parent, resolved = self._folders.open(folder, make=False)
            if name:
                remove_name(parent, name, join(resolved, name), keep, itself=itself)
            else:
                self._empty(keep)
        self._folders.forget()

    def _add(self, entry: Entry, chunks: Chunks) -> bytes:
        self._account(entry)
        folder, _, name = entry.path.rpartition(b"/")
        parent, resolved = self._folders.open(folder)
        place = join(resolved, name)
        if not name:
            if entry.kind is not Kind.FOLDER:
                raise InvalidInput("the root of the tree is not a folder")
        elif self._make_room(parent, name, entry.kind):
            self._make(entry, parent, name)
        descriptor = open_beneath(parent, name, _opening(entry.kind))
        try:
            if entry.kind is Kind.FILE:
                self._fill(descriptor, entry, chunks)
            if entry.kind is not Kind.HARDLINK:
                dress(descriptor, entry)
        finally:
            os.close(descriptor)
        if entry.kind is Kind.FOLDER:
            self._times[place] = entry.mtime_ns
        return place

    def _make_room(self, parent: int, name: bytes, kind: Kind) -> bool:
        """Whether there is room for a new file of this name; a folder keeps its content if a folder comes."""
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        self._folders.forget()
        if stat.S_ISDIR(there.st_mode):
            if kind is Kind.FOLDER:
                return False
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
        return True

    def _make(self, entry: Entry, parent: int, name: bytes) -> None:
        match entry.kind:
            case Kind.FILE:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o600, dir_fd=parent))
            case Kind.FOLDER:
                os.mkdir(name, 0o700, dir_fd=parent)
            case Kind.SYMLINK:
                os.symlink(entry.target, name, dir_fd=parent)
            case Kind.HARDLINK:
                self._link(entry, parent, name)
            case Kind.FIFO:
                os.mkfifo(name, 0o600, dir_fd=parent)
            case Kind.CHAR | Kind.BLOCK:
                os.mknod(name, _NODES[entry.kind] | 0o600, os.makedev(*entry.device), dir_fd=parent)
                self.devices.append(entry.path)

    def _link(self, entry: Entry, parent: int, name: bytes) -> None:
        folder, _, old = entry.target.rpartition(b"/")
        try:
            source = open_beneath(self._folders.root, folder, os.O_PATH | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _dangling(entry) from error
        try:
            os.link(old, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except (FileNotFoundError, PermissionError) as error:
            raise _dangling(entry) from error
        finally:
            os.close(source)

    def _fill(self, descriptor: int, entry: Entry, chunks: Chunks) -> None:
        """Write the content, leaving holes where it is zero."""
        for offset, data in chunks:
            for start, part in solid(data):
                self._written += len(part)
                self._check_size()
                write_at(descriptor, part, offset + start)
        os.ftruncate(descriptor, entry.size)

    def _account(self, entry: Entry) -> None:
        self._count_file()
        if entry.kind in DEVICES and len(self.devices) >= self._limits.devices:
            raise InvalidInput(f"the source holds more than {self._limits.devices} device nodes, which no system needs")

    def _count_file(self) -> None:
        self._count += 1
        # Every file has at least its inode.
        self._written += 256
        self._check_size()
        if self._count > self._limits.files:
            raise InvalidInput(f"the source holds more than {self._limits.files} files", hint="see --max-files")

    def _check_size(self) -> None:
        if self._written > self._limits.size_bytes:
            raise InvalidInput(
                f"the source unpacks to more than {self._limits.size_bytes >> 20} MiB",
                hint="if it may be that large, say so with --size",
            )

    def _empty(self, keep: Set[bytes]) -> None:
        root = open_beneath(self._folders.root, b"", os.O_RDONLY | os.O_DIRECTORY)
        try:
            remove_content(root, keep)
        finally:
            os.close(root)

    def _set_times(self) -> None:
        for path, mtime_ns in self._times.items():
            with suppress(OSError):  # removed, or replaced, later on
                descriptor = open_beneath(self._folders.root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.utime(descriptor, ns=(mtime_ns, mtime_ns))
                finally:
                    os.close(descriptor)


def _opening(kind: Kind) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    return flags | (os.O_WRONLY if kind is Kind.FILE else os.O_PATH)


def _dangling(entry: Entry) -> InvalidInput:
    return InvalidInput(
        f"{show(entry.path)} is another name of {show(entry.target)}, which the source does not have before it"
    )


def _failure(entry: Entry, error: OSError) -> NetbootError:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Unavailable(
                "the disk is full", hint="make space below the data directory, or name another --data-dir"
            )
        case errno.ENOTDIR:
            return InvalidInput(f"{show(entry.path)} lies below something that is not a folder")
        case errno.EEXIST:
            return InvalidInput(f"{show(entry.path)} lies behind a link that leads nowhere")
        case errno.ELOOP:
            return InvalidInput(f"{show(entry.path)} lies behind links that lead in a circle")
        case errno.ENAMETOOLONG:
            return InvalidInput(f"{show(entry.path)} cannot be a file's name")
        case _:
            return NetbootError(f"{show(entry.path)} cannot be written: {os.strerror(error.errno or 0)}")
