"""Small work on the files of the data directory: names, times, synchronising, and what people are told of failures."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError, NotPermitted, Unavailable


def unreadable(file: Path, error: OSError | InvalidInput) -> NetbootError:
    if isinstance(error, PermissionError):
        return NotPermitted(f"{file} may not be read", hint="run it as root, or as the owner")
    reason = error.strerror if isinstance(error, OSError) else error.message
    return NetbootError(f"{file} cannot be read: {reason}", hint="see what is damaged: netboot image fsck")


def names_in(folder: Path) -> list[str]:
    """The names in `folder`; none where there is no folder."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is asked for
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def is_new(name: str) -> bool:
    """Whether a file of this name is one that was to replace another when its process died: `.NAME.new`."""
    return name.startswith(".") and name.endswith(".new")


def changed_at(path: str) -> int | None:
    """The time of the last change in nanoseconds, None when it cannot be told."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - asked with every packet, and a Path costs three times as much
    except OSError:
        return None


def same_file(one: Path, other: Path) -> bool:
    """Whether both are names of one file; False when either is not there (any more)."""
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def sync(path: Path) -> None:
    """Return when a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritten(place: Path, error: OSError) -> NetbootError:
    """What to tell when something could not be written below `place`."""
    if isinstance(error, PermissionError):
        return NotPermitted(f"may not write to {place}", hint="run it as root, or name another --data-dir")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "free some: netboot image gc, netboot image rm" if full else f"look at it: ls -ld {place}"
    return Unavailable(f"{place} cannot be written: {error.strerror}", hint=hint)


def replace_text(file: Path, text: str) -> None:
    """Give a file a new text at once and durably: whoever reads it finds the one or the other."""
    new = new_name(file)
    new.write_text(text, encoding="utf-8")
    sync(new)
    new.replace(file)
    sync(file.parent)


def new_name(file: Path) -> Path:
    """Where the next state of a file is written, before it replaces the file."""
    return file.with_name(f".{file.name}.new")
