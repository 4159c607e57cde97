"""Reading a tree from a folder: every file once, in one order, no link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import Entry, Kind, join, kept_xattrs, show
from netboot.images.transfer.tar import Chunks, Item
from netboot.system.beneath import open_beneath

_CHUNK = 1 << 20

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHAR,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


def walk(
    root: int,
    *,
    prefix: bytes = b"",
    skip: Callable[[bytes], bool] = lambda path: False,
    one_filesystem: bool = False,
) -> Iterator[Item]:
    """The files beneath an open folder, parents first and by name, the folder itself first of all.

    `prefix` is put before their paths; what `skip` names (without prefix) is left out, with all below it.  A file with
    several names is a hard link from its second on.  Sockets are left out: they mean nothing without their process.
    With `one_filesystem`, folders where another is mounted are there but empty.
    """
    known: dict[tuple[int, int], bytes] = {}
    device = os.fstat(root).st_dev
    waiting = [b""]
    while waiting:
        path = waiting.pop()
        if path and skip(path):
            continue
        found = _Found(root, path)
        try:
            kind = _KINDS.get(stat.S_IFMT(found.stat.st_mode))
            if kind is None:
                continue
            yield _item(found, kind, prefix, known)
            if kind is Kind.FOLDER and not (one_filesystem and found.stat.st_dev != device):
                below = b"%s/" % path if path else b""
                waiting += [below + name for name in sorted(found.names(), reverse=True)]
        finally:
            found.close()


@contextmanager
def walk_path(folder: Path) -> Iterator[Iterator[Item]]:
    """`walk` of a folder by its path."""
    root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield walk(root)
    finally:
        os.close(root)


class _Found:
    """One file of a tree, held by a descriptor, so that what is told of it is of the same file."""

    def __init__(self, root: int, path: bytes) -> None:
        self.path = path
        self._root = root
        self._descriptor = open_beneath(root, path, os.O_PATH | os.O_NOFOLLOW)
        self._content: int | None = None
        self.stat = os.fstat(self._descriptor)

    def names(self) -> list[bytes]:
        folder = open_beneath(self._root, self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            return [os.fsencode(name) for name in os.listdir(folder)]  # noqa: PTH208 - of a descriptor
        finally:
            os.close(folder)

    def open(self) -> int:
        """A descriptor of the content, which lasts as long as this."""
        self._content = os.open(self.magic_link, os.O_RDONLY | os.O_CLOEXEC)
        return self._content

    @property
    def magic_link(self) -> str:
        """A path to the very file, also of a link, for calls that take no such descriptor."""
        return f"/proc/self/fd/{self._descriptor}"

    def link_text(self) -> bytes:
        return os.fsencode(os.readlink("", dir_fd=self._descriptor))

    def xattrs(self) -> dict[str, bytes]:
        with suppress(OSError):  # a file system without labels
            return kept_xattrs({name: os.getxattr(self.magic_link, name) for name in os.listxattr(self.magic_link)})
        return {}

    def close(self) -> None:
        os.close(self._descriptor)
        if self._content is not None:
            os.close(self._content)


def _item(found: _Found, kind: Kind, prefix: bytes, known: dict[tuple[int, int], bytes]) -> Item:
    state = found.stat
    path = join(prefix, found.path)
    first = known.get((state.st_dev, state.st_ino))
    if first is not None:
        return Entry(path=path, kind=Kind.HARDLINK, target=first, mtime_ns=state.st_mtime_ns), iter(())
    if state.st_nlink > 1 and kind is not Kind.FOLDER:
        known[state.st_dev, state.st_ino] = path
    descriptor = found.open() if kind is Kind.FILE else None
    data = _data(descriptor, state.st_size) if descriptor is not None else None
    entry = Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(state.st_mode),
        uid=state.st_uid,
        gid=state.st_gid,
        mtime_ns=state.st_mtime_ns,
        size=state.st_size if kind is Kind.FILE else 0,
        target=found.link_text() if kind is Kind.SYMLINK else b"",
        device=(os.major(state.st_rdev), os.minor(state.st_rdev)) if kind in (Kind.CHAR, Kind.BLOCK) else (0, 0),
        xattrs=found.xattrs(),
        data=data,
    )
    return entry, _content(entry, descriptor) if descriptor is not None else iter(())


def _data(descriptor: int, size: int) -> tuple[tuple[int, int], ...] | None:
    """The parts that are not holes; None if there are no holes, or the file system cannot tell."""
    parts = []
    at = 0
    try:
        while at < size:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
            at = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
            parts.append((start, at - start))
    except OSError as error:
        if error.errno != errno.ENXIO:  # no data from here on
            return None
    return None if parts == [(0, size)] or size == 0 else tuple(parts)


def _content(entry: Entry, descriptor: int) -> Chunks:
    for start, length in entry.parts:
        offset, end = start, start + length
        while offset < end:
            data = os.pread(descriptor, min(end - offset, _CHUNK), offset)
            if not data:
                raise InvalidInput(f"{show(entry.path)} became shorter while it was read", hint="read it once more")
            yield offset, data
            offset += len(data)
