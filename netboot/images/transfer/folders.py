"""Finding the folder of a file beneath a root, through whatever links the tree has, and never out of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import show
from netboot.system.beneath import open_beneath

# Deeper than any system; what walks a tree by recursion must come to its end.
_DEPTH = 200


class Folders:
    """The folders beneath `tree`; the last one asked for is kept, since an archive has a folder's files together.

    `made` is told of each folder that had to be made.
    """

    def __init__(self, tree: Path, *, made: Callable[[], None]) -> None:
        self._made = made
        self.root = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._base = os.fsencode(os.path.realpath(tree))
        self._last: tuple[bytes, int, bytes] | None = None

    def open(self, path: bytes, *, make: bool = True) -> tuple[int, bytes]:
        """A descriptor of a folder, valid until the next call, and its path with links resolved.

        With `make`, those that an archive left out are made, as plain folders are.
        """
        if self._last is not None and self._last[0] == path:
            return self._last[1], self._last[2]
        self._drop()
        if path.count(b"/") >= _DEPTH:
            raise _too_deep(path)
        try:
            descriptor = open_beneath(self.root, path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            if not make:
                raise
            descriptor = self._make(path)
        # The kernel tells where the descriptor is, in the words of the machine's own tree.
        resolved = os.fsencode(os.readlink(f"/proc/self/fd/{descriptor}"))[len(self._base) :].lstrip(b"/")  # noqa: PTH115
        self._last = path, descriptor, resolved
        if resolved.count(b"/") >= _DEPTH:
            raise _too_deep(path)
        return descriptor, resolved

    def forget(self) -> None:
        """Something was replaced or removed: a name may lead elsewhere now.  The last descriptor stays open."""
        if self._last is not None:
            self._last = (b"\0", *self._last[1:])

    def close(self) -> None:
        self._drop()
        os.close(self.root)

    def _drop(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def _make(self, path: bytes) -> int:
        """The folder, made, and those above it where there are none."""
        at = open_beneath(self.root, b"", os.O_PATH | os.O_DIRECTORY)
        names = path.split(b"/")
        for index in range(len(names)):
            above = at
            try:
                at = self._make_one(above, names[index], b"/".join(names[: index + 1]))
            finally:
                os.close(above)
        return at

    def _make_one(self, parent: int, name: bytes, path: bytes) -> int:
        try:
            return open_beneath(self.root, path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            self._made()
            os.mkdir(name, 0o755, dir_fd=parent)
            os.chmod(name, 0o755, dir_fd=parent)  # noqa: S103 - whatever our umask
            return open_beneath(parent, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)


def _too_deep(path: bytes) -> InvalidInput:
    return InvalidInput(f"{show(path)} lies more than {_DEPTH} folders deep")
