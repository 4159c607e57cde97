"""What lies in the data directory that is of no use to anybody, and taking it away.

Besides what a plan names (`netboot.images.gcplan`): what killed processes left behind, and objects that no version
links to.  None of it is seen by anybody, so it may stay or go at any moment.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import groupby
from pathlib import Path

from netboot.errors import NotFound
from netboot.images.derive import derived_in_use, drop_derived
from netboot.images.derived import derived_files, is_unfinished, unfinished
from netboot.images.files import is_new, names_in
from netboot.images.gcplan import GcPlan
from netboot.images.holders import Stock
from netboot.images.objects import FOLDER, Objects
from netboot.images.removal import drop_orphans, drop_root, orphans, remove_versions
from netboot.images.roots import locked
from netboot.images.staging import abandoned, claimed, clear_abandoned
from netboot.images.store import ImageStore
from netboot.images.tagfile import tags_locked
from netboot.model.image import Version
from netboot.model.names import is_image_name
from netboot.system.loop import find_loop


class PieceKind(StrEnum):
    VERSION = "version"
    ROOT = "root"
    DERIVED = "derived"
    OBJECT = "object"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something that may go: a version, its root or what is derived of that by its label, an object by its name, what
    is abandoned by its path.  `size_bytes` is what its going frees."""

    kind: PieceKind
    name: str
    size_bytes: int


def stock_of(store: ImageStore, versions: Iterable[Version]) -> tuple[Stock, ...]:
    """Versions as far as keeping them goes."""
    return tuple(
        Stock(
            image=each.image,
            number=each.number,
            parent=each.parent.number if each.parent and not store.is_whole(each) else None,
            has_root=each.root.path.exists(),
            root_in_use=each.parent is not None and find_loop(each.root.path) is not None,
            has_derived=bool(derived_files(each)) and not derived_in_use(each),
        )
        for each in versions
    )


def garbage(store: ImageStore, plan: GcPlan, versions: Mapping[str, Version]) -> Iterator[Piece]:
    """All that goes by `plan`, and what is of no use anyway."""
    images, going = store.directory, Counter[int]()
    for label in plan.versions:
        files = _files(versions[label].folder, going)
        yield Piece(kind=PieceKind.VERSION, name=label, size_bytes=_sole_bytes(files))
    for label in plan.roots:
        root = versions[label].root
        files = [root.path, *([root.verity.tree.path] if root.verity else [])]
        yield Piece(kind=PieceKind.ROOT, name=label, size_bytes=_sole_bytes(files))
    for label in plan.derived:
        size_bytes = _sole_bytes(derived_files(versions[label]))
        yield Piece(kind=PieceKind.DERIVED, name=label, size_bytes=size_bytes)
    for path in (*abandoned(images), *leftovers(images, versions.values())):
        yield Piece(kind=PieceKind.ABANDONED, name=str(path), size_bytes=_sole_bytes(_files(path, going)))
    for name in orphans(store, going, without=plan.versions):
        for state in _states([Objects(images).path(name)]):
            yield Piece(kind=PieceKind.OBJECT, name=name, size_bytes=state.st_blocks * 512)


def collect(
    store: ImageStore, plan: GcPlan, versions: Mapping[str, Version], *, check: Callable[[Sequence[str]], None]
) -> None:
    """Take it away.  Children go before their parents, objects last.

    `check` is told labels when nothing can change any more but by clients and drafts, and raises if they are held now.
    """
    images = store.directory
    for image, labels in groupby(plan.versions, key=lambda label: versions[label].image):
        going = tuple(labels)
        remove_versions(store, image, [versions[each] for each in going], check=partial(check, going))
    for label in plan.roots:
        with suppress(NotFound):
            drop_root(store, versions[label])
    for label in plan.derived:
        with suppress(NotFound):
            drop_derived(versions[label])
    clear_abandoned(images)
    for path in leftovers(images, [each for label, each in versions.items() if label not in plan.versions]):
        clear_leftover(images, path)
    drop_orphans(store)


def leftovers(images: Path, versions: Iterable[Version]) -> Iterator[Path]:
    """What killed processes left outside of the staging folder, and empty folders of images."""
    for version in versions:
        there = [version.folder / name for name in sorted(names_in(version.folder)) if is_new(name)]
        there += unfinished(version)
        if there and _is_free(version.folder):
            yield from there
    for name in sorted(names_in(images)):
        home = images / name
        if is_image_name(name) and home.is_dir():
            inner = names_in(home)
            if not inner:
                yield home
            yield from (home / each for each in sorted(inner) if is_new(each))
    yield from (path for path in Objects(images).strays() if is_new(path.name))


def clear_leftover(images: Path, path: Path) -> None:
    """Remove one of `leftovers`, under the lock of whoever makes such."""
    if path.parent == images:
        with claimed(images, path.name):
            if not names_in(path):
                path.rmdir()
    elif path.parent.parent == images and is_image_name(path.parent.name):
        # Of its tags, or of its boot tests.
        with tags_locked(path.parent):
            path.unlink(missing_ok=True)
    elif Path(FOLDER) in path.relative_to(images).parents:
        with Objects(images).locked(alone=True):
            path.unlink(missing_ok=True)
    else:
        with suppress(NotFound), locked(path.parent, wait=False) as ours:
            if ours and path.is_dir():
                shutil.rmtree(path)
            elif ours and (is_new(path.name) or is_unfinished(path)):
                path.unlink(missing_ok=True)


def _is_free(folder: Path) -> bool:
    """Whether nobody is at work on a version."""
    try:
        with locked(folder, wait=False) as ours:
            return ours
    except NotFound:
        return False


def _files(path: Path, going: Counter[int]) -> list[Path]:
    """All files at or below `path`; their names are counted as going."""
    files = [path] if path.is_file() else [Path(at) / name for at, _, names in os.walk(path) for name in names]
    going.update(state.st_ino for state in _states(files))
    return files


def _sole_bytes(files: Iterable[Path]) -> int:
    """What files take that have no other name."""
    return sum(state.st_blocks * 512 for state in _states(files) if state.st_nlink == 1)


def _states(files: Iterable[Path]) -> Iterator[os.stat_result]:
    """Of those that are still there."""
    for file in files:
        with suppress(FileNotFoundError):
            yield file.lstat()
