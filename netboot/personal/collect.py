"""A folder of files for clients, as it is on the disk now: templates filled in, all else as it is.

    NAME.j2            a template, which becomes NAME
    NAME.symlink       a symbolic link NAME to what the file says; also NAME.symlink.j2

Modes are kept, owners are not: on the client all is root's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from netboot.boot.script import render_text
from netboot.errors import InvalidInput, NetbootError, NotPermitted, Unavailable
from netboot.personal.archive import ARCHIVE_MAX_BYTES
from netboot.personal.entries import Entry, File, Folder, Link

_TEMPLATE, _SYMLINK = ".j2", ".symlink"
_ENTRIES_MAX = 4096


def collect(folder: Path, values: Mapping[str, str]) -> dict[PurePosixPath, Entry]:
    """The entries of a folder, without the folder itself; none where there is no such folder.

    Raises `InvalidInput` for what cannot be sent and for a template that cannot be filled in, naming the file.
    """
    found: dict[PurePosixPath, Entry] = {}
    total = 0
    for path, status in walk(folder):
        place = PurePosixPath(path.relative_to(folder))
        if not str(place).isprintable():
            raise InvalidInput(f"{path!s} cannot be sent to clients", hint="give it a name that can be printed")
        place, entry = _entry(path, status, place, values)
        if place in found:
            raise InvalidInput(f"{path} is there twice, once as a template", hint="remove one of the two")
        found[place] = entry
        total += len(entry.content) if isinstance(entry, File) else 0
        if total > ARCHIVE_MAX_BYTES or len(found) > _ENTRIES_MAX:
            raise InvalidInput(
                f"{folder} has more than {_ENTRIES_MAX} files or {ARCHIVE_MAX_BYTES >> 20} MiB for each client",
                hint="put what is large into the image",
            )
    return found


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below a folder with its status, in order; links are not followed."""
    if not folder.is_dir():
        return
    try:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names alone are enough
            path = folder / name
            status = path.lstat()
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                yield from walk(path)
    except OSError as error:
        raise _unreadable(error) from error


def _entry(
    path: Path, status: os.stat_result, place: PurePosixPath, values: Mapping[str, str]
) -> tuple[PurePosixPath, Entry]:
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return place, Folder(mode=mode)
    if stat.S_ISLNK(status.st_mode):
        return place, Link(target=str(path.readlink()))
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path} is neither file, folder nor link", hint="take it out of the folder")
    content = _read(path)
    if place.suffix == _TEMPLATE:
        place, content = place.with_suffix(""), _rendered(path, content, values)
    if place.suffix == _SYMLINK:
        return place.with_suffix(""), Link(target=_target(path, content))
    return place, File(content=content, mode=mode)


def _rendered(path: Path, content: bytes, values: Mapping[str, str]) -> bytes:
    try:
        source = content.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is no text, so it is no template", hint="take .j2 off its name") from error
    return render_text(source, values, name=str(path)).encode()


def _target(path: Path, content: bytes) -> str:
    target = content.decode("utf-8", "replace").removesuffix("\n")
    if not target or not target.isprintable():
        raise InvalidInput(f"{path} does not say in one line where the link leads", hint="write one path into it")
    return target


def _read(path: Path) -> bytes:
    try:
        # Between the look and the opening somebody may have put something else there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(ARCHIVE_MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> NetbootError:
    kind = NotPermitted if isinstance(error, PermissionError) else Unavailable
    return kind(f"{error.filename} cannot be read: {error.strerror}", hint="look at it with ls -l")
