"""Opening files in a tree that somebody else filled: every name resolves as if the tree were the whole system.

An image may hold `etc -> /etc` or `../../..`; followed from outside, such a link leads to our own files.  The kernel
resolves these names for us (openat2 with RESOLVE_IN_ROOT, Linux 5.6): absolute links and `..` stay in the tree.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# <linux/openat2.h>, and the system call's number, which is the same on every architecture.
_OPENAT2 = 437
_NO_MAGICLINKS, _IN_ROOT = 0x02, 0x10

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_beneath(root: int, name: str | bytes, flags: int, mode: int = 0) -> int:
    """A descriptor of `name` in the tree whose folder `root` is open; raises OSError as os.open does."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _IN_ROOT | _NO_MAGICLINKS)
    path = os.fsencode(name) or b"."
    while True:
        descriptor = _libc.syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_int(root), ctypes.c_char_p(path), ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )  # fmt: skip
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        # A rename anywhere while `..` was resolved: the kernel asks to try again.
        if number not in (errno.EINTR, errno.EAGAIN):
            raise OSError(number, os.strerror(number), os.fsdecode(name))


def read_beneath(tree: Path, name: str) -> BinaryIO:
    """A file of the tree, opened for reading; links of the tree are followed within it."""
    with _folder(tree) as root:
        # Not blocking: it might be a named pipe, which would wait for a writer for ever.
        return os.fdopen(open_beneath(root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb")


def names_beneath(tree: Path, folder: str) -> tuple[str, ...]:
    """The sorted names in a folder of the tree; none where there is no such folder."""
    with _folder(tree) as root:
        try:
            descriptor = open_beneath(root, folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return ()
    try:
        return tuple(sorted(os.listdir(descriptor)))  # noqa: PTH208 - of a descriptor
    finally:
        os.close(descriptor)


def exists_beneath(tree: Path, name: str) -> bool:
    """Whether the tree has this name, its links followed within it."""
    with _folder(tree) as root:
        try:
            os.close(open_beneath(root, name, os.O_PATH))
        except OSError:
            return False
    return True


def remove_empty_beneath(tree: Path, name: str) -> None:
    """Remove a file of the tree if it is empty; its folder's links are followed within the tree, its own are not."""
    folder, _, last = name.rpartition("/")
    with _folder(tree) as root, suppress(OSError):
        parent = open_beneath(root, folder, os.O_PATH | os.O_DIRECTORY)
        try:
            status = os.stat(last, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and status.st_size == 0:
                os.unlink(last, dir_fd=parent)
        finally:
            os.close(parent)


@contextmanager
def _folder(tree: Path) -> Iterator[int]:
    root = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield root
    finally:
        os.close(root)
