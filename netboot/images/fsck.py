"""Looking at everything in the store: every digest, every chain, every link, and what does not belong there.

A fault is damage, when something published is not what it was or cannot be had, or a leftover, which does nobody harm.
Versions never change, so looking needs no lock; what comes and goes meanwhile is not damage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from netboot.errors import NetbootError, NotFound
from netboot.images.blocks import Advance, unheard
from netboot.images.boottests import FILE_NAME as TESTS_FILE_NAME
from netboot.images.derived import FILES as DERIVED_FILES
from netboot.images.entries import FILES
from netboot.images.files import is_new, names_in, same_file
from netboot.images.garbage import PieceKind, garbage
from netboot.images.gcplan import GcPlan
from netboot.images.manifest import FILE_NAME
from netboot.images.objects import Objects
from netboot.images.roots import lineage_of
from netboot.images.store import ImageStore
from netboot.images.tagfile import FILE_NAME as TAGS_FILE_NAME
from netboot.images.whole import damage_of
from netboot.model.image import Version
from netboot.model.names import is_image_name


class Problem(StrEnum):
    """What can be the matter."""

    UNREADABLE = "unreadable"
    DAMAGED = "damaged"
    LOST_PARENT = "lost-parent"
    LOST_TAG = "lost-tag"
    LOST_DRAFT = "lost-draft"
    UNLINKED = "unlinked"
    ORPHAN = "orphan"
    ABANDONED = "abandoned"
    FOREIGN = "foreign"


# Nobody is harmed by these.
LEFTOVERS = frozenset({Problem.UNLINKED, Problem.ORPHAN, Problem.ABANDONED, Problem.FOREIGN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is the matter with `path`; `label` is the version's, if it is one's."""

    problem: Problem
    path: Path
    what: str
    label: str | None = None

    @property
    def is_damage(self) -> bool:
        return self.problem not in LEFTOVERS

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def examine_all(
    store: ImageStore, drafts: Iterable[tuple[Path, str, str]], advance: Advance = unheard
) -> Iterator[Fault]:
    """Everything.  Of each draft, `drafts` tells its folder, its version's label and digest."""
    versions, unreadable = readable(store)
    yield from unreadable
    for version in versions:
        faults = _examined(store, version, advance)
        yield from faults if version.folder.exists() else ()  # it may have been removed meanwhile
    yield from _tags(store)
    yield from _boot_tests(store)
    digests = {each.label: str(each.digest) for each in versions}
    for folder, label, digest in drafts:
        if digests.get(label) != digest:
            state = "is another one than it was" if label in digests else "is gone"
            what = f"is a draft of {label}, which {state}"
            yield Fault(problem=Problem.LOST_DRAFT, path=folder, what=what, label=label)
    if not unreadable:  # or what those should have would count as of no use
        yield from _of_no_use(store, versions)
    yield from _foreign(store.directory)


def _examined(store: ImageStore, version: Version, advance: Advance) -> list[Fault]:
    try:
        return list(examine(store, version, advance))
    except NotFound:
        return []


def examine(store: ImageStore, version: Version, advance: Advance = unheard) -> Iterator[Fault]:
    """One version: its files bit for bit, its links, and whether its root can be had."""
    damaged = set()
    for damage in damage_of(version, advance):
        damaged.add(damage.file.name)
        yield Fault(problem=Problem.DAMAGED, path=damage.file, what=damage.what, label=version.label)
    if version.root.path.name not in damaged:
        try:
            lineage_of(version, store.find)
        except NetbootError as error:
            what = f"has no root: {error.message}"
            yield Fault(problem=Problem.LOST_PARENT, path=version.folder, what=what, label=version.label)
    objects = Objects(store.directory)
    if version.root.verity is None:
        return  # of the first format, whose files are no links
    for name, object in store.manifest(version).files.stored():
        file, place = version.folder / name, objects.path(object)
        if name not in damaged and file.exists() and not same_file(place, file):
            what = "is no link to its object, so it is stored for this version alone"
            yield Fault(problem=Problem.UNLINKED, path=file, what=what, label=version.label)


def readable(store: ImageStore) -> tuple[list[Version], list[Fault]]:
    """The versions that can be read, and what is the matter with the others."""
    versions, faults = [], []
    for label, found in store.each():
        if isinstance(found, Version):
            versions.append(found)
            continue
        image, _, number = label.partition(":")
        file = store.directory / image / number / FILE_NAME
        what = found.message.removeprefix(f"{file} ")
        faults.append(Fault(problem=Problem.UNREADABLE, path=file, what=what, label=label))
    return versions, faults


def _tags(store: ImageStore) -> Iterator[Fault]:
    for image in store.names():
        file = store.directory / image / TAGS_FILE_NAME
        try:
            current = store.tags(image).current
        except NetbootError as error:
            what = error.message.removeprefix(f"{file} ")
            yield Fault(problem=Problem.UNREADABLE, path=file, what=what)
            continue
        there = names_in(store.directory / image)
        for tag, number in current.items():
            if str(number) not in there:
                what = f"says that tag {tag} stands at {image}:{number}, which is gone"
                yield Fault(problem=Problem.LOST_TAG, path=file, what=what, label=f"{image}:{number}")


def _boot_tests(store: ImageStore) -> Iterator[Fault]:
    for image in store.names():
        try:
            store.boot_tests(image)
        except NetbootError as error:
            file = store.directory / image / TESTS_FILE_NAME
            yield Fault(problem=Problem.UNREADABLE, path=file, what=error.message.removeprefix(f"{file} "))


def _of_no_use(store: ImageStore, versions: Iterable[Version]) -> Iterator[Fault]:
    for piece in garbage(store, GcPlan(), {each.label: each for each in versions}):
        if piece.kind is PieceKind.OBJECT:
            path = Objects(store.directory).path(piece.name)
            yield Fault(problem=Problem.ORPHAN, path=path, what="belongs to no version")
        else:
            what = "was left behind by a process that was killed"
            yield Fault(problem=Problem.ABANDONED, path=Path(piece.name), what=what)


def _foreign(images: Path) -> Iterator[Fault]:
    """What nobody of ours made."""
    known = {*FILES.values(), *DERIVED_FILES, FILE_NAME}
    strays = [path for path in Objects(images).strays() if not is_new(path.name)]
    for name in sorted(names_in(images)):
        home = images / name
        if name.startswith("."):
            strays += [] if name in _OURS else [home]
        elif not is_image_name(name) or not home.is_dir():
            strays.append(home)
        else:
            for inner in sorted(names_in(home)):
                if inner.isdecimal() and not inner.startswith("0"):
                    strays += [
                        home / inner / each
                        for each in sorted(names_in(home / inner))
                        if each not in known and not is_new(each)
                    ]
                elif inner not in (TAGS_FILE_NAME, TESTS_FILE_NAME) and not is_new(inner):
                    strays.append(home / inner)
    for path in strays:
        yield Fault(problem=Problem.FOREIGN, path=path, what="is nothing of ours, and is left alone")


# Folders beside those of images.
_OURS = frozenset({".objects", ".staging", ".drafts"})
