"""Where an export goes: it appears whole, by a rename, or not at all.

It is made in a folder `.NAME.partial` beside its place.  One that a killed export left behind is emptied by the next to
the same place.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot.errors import Conflict, NotFound, NotPermitted
from netboot.images.files import sync


@contextmanager
def destination(place: Path) -> Iterator[Path]:
    """A path to make the export at, a file or a folder, which becomes `place` at the end.

    Files named after it, as `PATH.vmlinuz`, become such beside it.  Nothing is ever overwritten.
    """
    _check(place)
    workshop = place.parent / f".{place.name}.partial"
    lock = _open(workshop)
    try:
        _empty(workshop)
        work = workshop / place.name
        yield work
        made = sorted(workshop.iterdir(), key=lambda each: each == work)
        for each in made:
            _check(place.parent / each.name)
        # The export itself last: who sees it finds what belongs to it.
        for each in made:
            for below in (each, *each.rglob("*")):
                sync(below)
            each.rename(place.parent / each.name)
        sync(place.parent)
    finally:
        _empty(workshop)
        workshop.rmdir()
        os.close(lock)


def _check(place: Path) -> None:
    if place.exists() or place.is_symlink():
        raise Conflict(f"{place} is there already", hint="remove it, or name another place")


def _open(workshop: Path) -> int:
    try:
        workshop.mkdir(exist_ok=True)
        descriptor = os.open(workshop, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"there is no folder {workshop.parent}") from error
    except PermissionError as error:
        raise NotPermitted(
            f"may not write to {workshop.parent}", hint="run it as root, or name another place"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(f"another process exports to {workshop.parent}", hint="wait until it is done") from error
    return descriptor


def _empty(workshop: Path) -> None:
    for each in workshop.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
