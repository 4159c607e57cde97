"""Where a version is prepared, out of everybody's sight.

The folder `.staging/IMAGE` is locked by the process that works on the image: one publishes or removes versions of it
at a time.  What a killed process left there is recognised, since nobody holds its lock, and removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import Conflict
from netboot.images.files import names_in, unwritten
from netboot.model.names import parse_image_name

FOLDER = ".staging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """A place to prepare version `number` of `image`.

    `scratch` is for whatever the work needs; `version` becomes the version's folder.
    """

    image: str
    number: int
    scratch: Path
    version: Path


@contextmanager
def claimed(images: Path, image: str) -> Iterator[Path]:
    """The image's place, empty and ours alone, and emptied afterwards; `Conflict` if another process has it."""
    place = images / FOLDER / parse_image_name(image)
    lock = _lock(place)
    if lock is None:
        raise Conflict(f"image {image} is being built or changed by another process", hint="wait until it is done")
    try:
        _empty(place)
        yield place
    finally:
        # Only emptied: the folder itself is the lock, and another process may be waiting at it.
        _empty(place)
        os.close(lock)


def abandoned(images: Path) -> tuple[Path, ...]:
    """What killed processes left behind, and nobody works on."""
    left: list[Path] = []
    for name in sorted(names_in(images / FOLDER)):
        place = images / FOLDER / name
        if names_in(place) and (lock := _lock(place)) is not None:
            left.extend(place / inner for inner in sorted(names_in(place)))
            os.close(lock)
    return tuple(left)


def clear_abandoned(images: Path) -> None:
    """Remove it."""
    for name in names_in(images / FOLDER):
        place = images / FOLDER / name
        if names_in(place) and (lock := _lock(place)) is not None:
            try:
                _empty(place)
            finally:
                os.close(lock)


def _lock(place: Path) -> int | None:
    """A descriptor that holds the place, None while another process does."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unwritten(place, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _empty(place: Path) -> None:
    for leftover in place.iterdir():
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
