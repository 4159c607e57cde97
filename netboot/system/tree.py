"""A system's tree, looked at and changed from outside, without trusting it.

The tree may hold any link and any name: one to `/etc/shadow` of this machine, a thousand folders in each other.  So
every path is opened name by name beneath the root, from descriptor to descriptor, and no link is followed on the way or
at its end; nothing on another file system (a mounted /proc) is entered.  What is changed keeps the times of its folder,
so that a change depends on the tree alone, not on when it was made.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from netboot.errors import NetbootError, NotFound

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = ".netboot-new"
# Deeper than any system's folders are in each other; work with every folder above at hand stays cheap.
_DEEPEST = 200


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at a path: for a link its target, for a file its size in bytes."""

    path: str
    kind: Kind
    size_bytes: int = 0
    target: str = ""


class Tree:
    """The tree below one folder, kept open; paths are relative to it and never leave it.

    A path that goes over a link is not there: `None` or nothing when looking, an error when changing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(
                f"there is no folder {root}", hint="name the folder that holds the system's etc and usr"
            ) from None
        self._device = os.fstat(self._descriptor).st_dev

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def walk(self, descend: Callable[[str], bool] = lambda folder: True, *, below: str = "") -> Iterator[Entry]:
        """Everything below the folder `below`, a folder before what is in it; `descend` chooses the folders."""
        waiting = [below]
        while waiting:
            folder = waiting.pop()
            if folder.count("/") >= _DEEPEST:
                where = "/".join(folder.split("/")[:3])
                raise NetbootError(f"{where!r} in {self._root} holds folders too deep in each other", hint="remove it")
            entries = self._names_in(folder)
            yield from entries
            waiting += [each.path for each in reversed(entries) if each.kind is Kind.FOLDER and descend(each.path)]

    def entry(self, path: str) -> Entry | None:
        """What is at `path`, None when nothing is."""
        with suppress(FileNotFoundError, NotADirectoryError), self._parent(path) as (parent, name):
            return _entry(path, name, parent)
        return None

    def read(self, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes of a regular file, None when there is none."""
        try:
            with self._parent(path) as (parent, name):
                opened = _open_file(name, parent)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", path, error) from error
        if opened is None:
            return None
        try:
            return _read(opened, limit)
        finally:
            os.close(opened)

    def write(self, path: str, content: bytes, *, mode: int = 0o644, at: float | None = None) -> None:
        """Put a regular file of this content at `path`, whatever was there but a folder, making folders to it.

        A file that was there passes its owner, mode and attributes on.  It is replaced, not written into: it may have
        other names.  `at` is its time of change.
        """
        with self._changing(path, "write") as (parent, name):
            with suppress(FileNotFoundError):
                os.unlink(_NEW, dir_fd=parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(_NEW, flags, 0o600, dir_fd=parent), "wb") as file:
                file.write(content)
                file.flush()
                _inherit(file.fileno(), name, parent, mode)
                if at is not None:
                    os.utime(file.fileno(), (at, at))
            os.rename(_NEW, name, src_dir_fd=parent, dst_dir_fd=parent)

    def link(self, path: str, target: str, *, at: float | None = None) -> None:
        """Put a symbolic link to `target` at `path`, whatever was there but a folder."""
        with self._changing(path, "make a link at") as (parent, name):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
            os.symlink(target, name, dir_fd=parent)
            if at is not None:
                os.utime(name, (at, at), dir_fd=parent, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove what is at `path`, a folder with all in it; nothing there is as good."""
        entry = self.entry(path)
        if entry is None:
            return
        inside = list(self.walk(below=path)) if entry.kind is Kind.FOLDER else []
        for each in (*reversed(inside), entry):
            with self._changing(each.path, "remove") as (parent, name):
                if each.kind is Kind.FOLDER:
                    os.rmdir(name, dir_fd=parent)
                else:
                    os.unlink(name, dir_fd=parent)

    def changed_at(self, path: str) -> float | None:
        """The time of the last change of what is at `path`, in seconds."""
        with suppress(FileNotFoundError, NotADirectoryError), self._parent(path) as (parent, name):
            return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime
        return None

    def clamp_times(self, latest: int) -> None:
        """Set every time of change that is later than `latest` (Unix seconds) back to it, and drop fractions."""
        for entry in (*self.walk(), None):
            if entry is None:
                _clamp(".", self._descriptor, latest)
                continue
            with self._parent(entry.path) as (parent, name):
                _clamp(name, parent, latest)

    def _names_in(self, folder: str) -> list[Entry]:
        try:
            with self._opened(folder) as descriptor:
                if os.fstat(descriptor).st_dev != self._device:
                    return []
                start = f"{folder}/" if folder else ""
                return [_entry(start + name, name, descriptor) for name in sorted(os.listdir(descriptor))]  # noqa: PTH208 - a descriptor
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._failure("list", folder, error) from error

    @contextmanager
    def _opened(self, folder: str, *, create: bool = False) -> Iterator[int]:
        """A folder's descriptor, reached without following a link; a link on the way is `NotADirectoryError`."""
        here = os.dup(self._descriptor)
        try:
            for name in filter(None, folder.split("/")):
                if name == "..":
                    raise NotADirectoryError(errno.ENOTDIR, "leads upwards")
                below = _make_folder(name, here) if create else os.open(name, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    @contextmanager
    def _parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        folder, _, name = path.rpartition("/")
        with self._opened(folder, create=create) as descriptor:
            yield descriptor, name

    @contextmanager
    def _changing(self, path: str, what: str) -> Iterator[tuple[int, str]]:
        try:
            with self._parent(path, create=True) as (parent, name):
                before = os.fstat(parent)
                yield parent, name
                os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
        except OSError as error:
            raise self._failure(what, path, error) from error

    def _failure(self, what: str, path: str, error: OSError) -> NetbootError:
        hint = "a link on the way there is not followed" if error.errno in (errno.ENOTDIR, errno.ELOOP) else None
        return NetbootError(f"cannot {what} {path!r} in {self._root}: {error.strerror}", hint=hint)


def _entry(path: str, name: str, parent: int) -> Entry:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISREG(found.st_mode):
        return Entry(path, Kind.FILE, found.st_size)
    if stat.S_ISDIR(found.st_mode):
        return Entry(path, Kind.FOLDER)
    if stat.S_ISLNK(found.st_mode):
        return Entry(path, Kind.LINK, target=os.readlink(name, dir_fd=parent))
    return Entry(path, Kind.OTHER)


def _read(descriptor: int, limit: int) -> bytes:
    parts = b""
    while len(parts) < limit and (part := os.read(descriptor, limit - len(parts))):
        parts += part
    return parts


def _make_folder(name: str, parent: int) -> int:
    """The folder's descriptor; a new one has the times of the folder that it is in."""
    before = os.fstat(parent)
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return os.open(name, _FOLDER, dir_fd=parent)
    made = os.open(name, _FOLDER, dir_fd=parent)
    os.fchmod(made, 0o755)  # whatever our umask
    for each in (made, parent):
        os.utime(each, ns=(before.st_atime_ns, before.st_mtime_ns))
    return made


def _open_file(name: str, parent: int) -> int | None:
    """A regular file's descriptor; None for anything else, which is not opened: a device may act on that."""
    if not stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return None
    # Not waiting: by now it may have become a pipe.
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)


def _inherit(new: int, name: str, parent: int, mode: int) -> None:
    """Give the new file what the regular file `name` had, if there is one."""
    try:
        old = _open_file(name, parent)
    except FileNotFoundError:
        old = None
    if old is None:
        os.fchmod(new, mode)
        return
    try:
        found = os.fstat(old)
        os.fchown(new, found.st_uid, found.st_gid)
        os.fchmod(new, stat.S_IMODE(found.st_mode))
        for attribute in os.listxattr(old):
            with suppress(OSError):  # one that only the kernel sets
                os.setxattr(new, attribute, os.getxattr(old, attribute))
    finally:
        os.close(old)


def _clamp(name: str, parent: int, latest: int) -> None:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    time_ns = max(0, min(found.st_mtime_ns // 10**9, latest)) * 10**9
    if time_ns != found.st_mtime_ns:
        os.utime(name, ns=(time_ns, time_ns), dir_fd=parent, follow_symlinks=False)
