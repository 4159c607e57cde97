"""The files of versions by what they hold: `.objects/AB/sha256-AB...`, with hard links from the versions.

Versions that hold the same file share one object.  An object is complete from its first moment, since it begins as a
link to a whole and synchronised file, and it is needed as long as it has another name than its own; so nothing has to
be counted.  Who gives an object a name holds the lock shared, who removes objects holds it alone.
"""

from __future__ import annotations

import errno
import fcntl
import filecmp
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot.errors import Unavailable
from netboot.images.files import names_in, same_file, sync

FOLDER = ".objects"

_NAME = re.compile(r"(?:sha256|verity)-([0-9a-f]{2})[0-9a-f]{62}")


class Objects:
    """The objects below one directory of images."""

    def __init__(self, images: Path) -> None:
        self._directory = images / FOLDER

    @contextmanager
    def locked(self, *, alone: bool = False) -> Iterator[None]:
        """Hold the objects as they are, or alone, to remove some.  Waits for who holds them."""
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def path(self, name: str) -> Path:
        """Where the object of this name is, or would be."""
        if not (match := _NAME.fullmatch(name)):
            raise ValueError(f"{name!r} is no object's name")
        return self._directory / match.group(1) / name

    def names(self) -> Iterator[str]:
        """Every object, in order; what else lies there is `strays`'."""
        for folder in sorted(names_in(self._directory)):
            for name in sorted(names_in(self._directory / folder)):
                if _is_in(folder, name):
                    yield name

    def strays(self) -> Iterator[Path]:
        """What is no object: a name that was to replace another when its process died, or somebody's own."""
        for folder in sorted(names_in(self._directory)):
            place = self._directory / folder
            inner = sorted(names_in(place))
            if not place.is_dir() or place.is_symlink() or not re.fullmatch(r"[0-9a-f]{2}", folder):
                yield place
            else:
                yield from (place / name for name in inner if not _is_in(folder, name))

    def adopt(self, file: Path, name: str) -> None:
        """Make `file`, which is whole and synchronised, the object `name`, or a link to it if it is there.

        An object that is not what its name says, since its disk failed it, is replaced.  The caller holds the lock.
        """
        place = self.path(name)
        place.parent.mkdir(exist_ok=True)
        try:
            os.link(file, place)
        except FileExistsError:
            if filecmp.cmp(file, place, shallow=False):
                _link_over(place, file)
            else:
                _link_over(file, place)
        except OSError as error:
            raise _no_links(place, error) from error
        sync(place.parent)
        sync(self._directory)

    def restore(self, name: str, file: Path) -> None:
        """Put the object's file in the place of `file`, which is lost or damaged.  The caller holds the lock."""
        _link_over(self.path(name), file)
        sync(file.parent)

    def remove(self, name: str) -> None:
        """Forget an object that no version has.  The caller holds the lock alone."""
        self.path(name).unlink()


def _is_in(folder: str, name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and match.group(1) == folder


def _link_over(source: Path, target: Path) -> None:
    """Make `target` a name of what `source` names."""
    if same_file(target, source):
        return  # rename(2) does nothing for two names of one file, and would leave the new one behind
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    try:
        os.link(source, new)
    except OSError as error:
        if error.errno == errno.EMLINK:
            return  # so many versions share it that one more has a copy
        raise _no_links(target, error) from error
    new.replace(target)


def _no_links(place: Path, error: OSError) -> Exception:
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
        return Unavailable(
            f"the file system of {place.parent} has no hard links", hint="name a --data-dir on ext4, xfs or btrfs"
        )
    return error
