"""Files beneath a directory, and nothing else (rules 4.25, 4.28).

A name is walked one component at a time without following symbolic links, so that no spelling and no race leads
outside.  Served are regular files that everyone may read; a FIFO or a device is as good as missing.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from netboot.tftp.content import BootFile, Meaning, Missing
from netboot.tftp.packet import ErrorCode

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for its writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_OUTSIDE = Missing("Access violation", ErrorCode.ACCESS)


def components(name: bytes) -> tuple[bytes, ...] | None:
    """The parts of a name, None when it would climb.

    GRUB sends a leading slash, Windows loaders and shim send backslashes; both mean the same tree.
    """
    parts = tuple(part for part in name.replace(b"\\", b"/").split(b"/") if part not in (b"", b"."))
    return None if b".." in parts else parts


def refusal(name: bytes) -> Missing:
    """What to answer for a name that is nowhere: climbing is refused, anything else is just not there."""
    return _OUTSIDE if components(name) is None else Missing()


class StaticFiles:
    """The files beneath `root`, each worth `meaning` when it was sent whole."""

    def __init__(self, root: Path, *, meaning: Meaning | None = None) -> None:
        self._root = root
        self._meaning = meaning

    def open(self, name: bytes) -> BootFile | Missing:
        """The file, as a descriptor that is the caller's.

        Some ROMs append 0xff or blanks to the name that DHCP gave them (trap 0.2): tried when nothing else fits.
        """
        found = self._open(name)
        trimmed = name.rstrip(b"\xff ")
        if isinstance(found, Missing) and trimmed != name:
            return self._open(trimmed)
        return found

    def _open(self, name: bytes) -> BootFile | Missing:
        parts = components(name)
        if parts is None:
            return _OUTSIDE
        if not parts:
            return Missing()
        try:
            descriptor = self._walk(parts)
        except PermissionError:
            return _OUTSIDE
        except (OSError, ValueError):
            return Missing()
        return self._checked(descriptor)

    def _walk(self, parts: tuple[bytes, ...]) -> int:
        with ExitStack() as directories:
            at = os.open(self._root, _DIRECTORY & ~os.O_NOFOLLOW)
            directories.callback(os.close, at)
            for part in parts[:-1]:
                at = os.open(part, _DIRECTORY, dir_fd=at)
                directories.callback(os.close, at)
            return os.open(parts[-1], _FILE, dir_fd=at)

    def _checked(self, descriptor: int) -> BootFile | Missing:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IROTH:
            return BootFile(content=descriptor, size=status.st_size, meaning=self._meaning)
        os.close(descriptor)
        return _OUTSIDE if stat.S_ISREG(status.st_mode) else Missing()
