"""Two versions side by side: both mounted, read-only and for us alone, and compared path by path."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from netboot.images.diff import FileChange, PackageChange, Trait, compare_files, compare_packages
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.system.loop import attached
from netboot.system.mounts import mount_read_only, private_mounts

_PIECE = 1 << 20
_NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What `new` has that `old` has not, and the other way round."""

    old: Version
    new: Version
    files: tuple[FileChange, ...]
    packages: tuple[PackageChange, ...]


def compare(store: ImageStore, old: Version, new: Version, *, with_times: bool = False) -> Difference:
    """Compare two versions, of one image or of two.  Takes root, and makes their roots if they are not there."""
    with _mounted(store, old) as before, _mounted(store, new) as after:
        related = old.image == new.image
        first, second = (dict(_traits(tree, related=related)) for tree in (before, after))
        files = compare_files(first, second, lambda path: _same(before, after, path), with_times=with_times)
    return Difference(
        old=old,
        new=new,
        files=files,
        packages=compare_packages(store.manifest(old).packages, store.manifest(new).packages),
    )


@contextmanager
def _mounted(store: ImageStore, version: Version) -> Iterator[Path]:
    root = store.materialise(version)
    with TemporaryDirectory(prefix="netboot-") as folder, private_mounts(), attached(root) as device:
        mount_read_only(device, Path(folder), fstype=version.filesystem)
        yield Path(folder)


def _traits(tree: Path, *, related: bool) -> Iterator[tuple[str, Trait]]:
    """Every path below a tree.  In versions of one image the same inode is the same file."""
    with ExitStack() as stack:
        root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        for folder, folders, files, descriptor in os.fwalk(".", dir_fd=root, follow_symlinks=False):
            place = folder[2:] + "/" if folder != "." else ""
            for name in (*folders, *files):
                yield place + name, _trait(name, descriptor, related=related)


def _trait(name: str, folder: int, *, related: bool) -> Trait:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_link = stat.S_ISLNK(found.st_mode)
    return Trait(
        mode=found.st_mode,
        owner=(found.st_uid, found.st_gid),
        size_bytes=found.st_size if stat.S_ISREG(found.st_mode) else 0,
        changed_at_ns=found.st_mtime_ns,
        mark=(found.st_ino, found.st_ctime_ns) if related else (),
        target=os.readlink(name, dir_fd=folder) if is_link else "",
        device=found.st_rdev,
        attributes=() if is_link else _attributes(name, folder),
    )


def _attributes(name: str, folder: int) -> tuple[tuple[str, bytes], ...]:
    with suppress(OSError):
        descriptor = os.open(name, _NO_LINK | os.O_PATH, dir_fd=folder)
        try:
            # O_PATH descriptors carry no attributes themselves; their name in /proc does, and is no link to follow.
            place = f"/proc/self/fd/{descriptor}"
            return tuple((each, os.getxattr(place, each)) for each in sorted(os.listxattr(place)))
        finally:
            os.close(descriptor)
    return ()


def _same(before: Path, after: Path, path: str) -> bool:
    """Whether a regular file holds the same in both trees, neither of which has links on the way to it."""
    with ExitStack() as stack:
        pair = []
        for tree in (before, after):
            descriptor = os.open(tree / path, _NO_LINK)
            stack.callback(os.close, descriptor)
            pair.append(descriptor)
        while True:
            first, second = (os.read(each, _PIECE) for each in pair)
            if first != second:
                return False
            if not first:
                return True
