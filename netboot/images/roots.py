"""Making the root of a version that is stored as its changes, from the nearest ancestor whose root is there.

The ancestor's file is cloned where the file system can (FICLONE), else copied without its holes; then each delta on the
way is applied, and all of it is read and compared with the root hash before it gets its name.  The version's folder is
locked meanwhile: who comes second waits, and finds it done.  What a killed process left is begun anew.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError, NotFound
from netboot.images import delta, verity
from netboot.images.blocks import Advance, unheard
from netboot.images.copies import copied
from netboot.images.cow import open_cow
from netboot.images.files import sync, unwritten
from netboot.images.identity import filesystem_uuids
from netboot.images.measure import hash_file
from netboot.images.whole import damage_of
from netboot.model.image import DeltaFile, Version
from netboot.model.names import VersionRef
from netboot.system.sparse import SparseFile

# Of files that are being made, until they are whole.
NEW_NAMES = (".root.ext4.new", ".root.verity.new")

Find = Callable[[VersionRef], Version | None]


@dataclass(frozen=True, slots=True)
class Lineage:
    """How a root is made: a version whose root is there, and then those whose deltas are applied, in order."""

    base: Version
    steps: tuple[Version, ...]

    @property
    def work_bytes(self) -> int:
        """What making it tells its `Advance` in all, about."""
        copied = self.base.root.path.stat().st_blocks * 512
        changed = sum(step.delta.changed_bytes for step in self.steps if step.delta)
        return copied + changed + (self.steps or (self.base,))[-1].root.size_bytes


def has_root(version: Version) -> bool:
    """Whether the raw file of its root is there, and its hash tree if it has one."""
    root = version.root
    return root.path.exists() and (root.verity is None or root.verity.tree.path.exists())


def lineage_of(version: Version, find: Find, *, anew: bool = False) -> Lineage:
    """Where its root comes from; `anew`: though its own is there.

    `NetbootError` when a version on the way is gone or is another one than it was.
    """
    steps: list[Version] = []
    at = version
    while not at.root.path.exists() or (anew and at is version):
        if at.parent is None:
            raise NetbootError(
                f"{at.root.path} is lost, and {at.label} was stored whole, so nothing can make it again",
                hint=f"bring it back from a copy, or remove {at.label}: netboot image rm {at.label}",
            )
        parent = find(VersionRef(at.image, at.parent.number))
        if parent is None or parent.digest != at.parent.digest:
            state = "is gone" if parent is None else "is another one"
            raise NetbootError(
                f"{at.label} is stored as its changes to {at.image}:{at.parent.number}, which {state}",
                hint="bring it back from a copy; see netboot image fsck",
            )
        steps.append(at)
        at = parent
    return Lineage(at, tuple(reversed(steps)))


def materialise(version: Version, find: Find, advance: Advance = unheard) -> Path:
    """The version's root as a raw file, which is made if it is not there, its hash tree as well.

    Blocks.  Interrupted or failed, it leaves what was there; `NetbootError` names what is damaged or in the way.
    """
    if has_root(version):
        return version.root.path
    with locked(version.folder):
        if not has_root(version):
            _make(version, lineage_of(version, find), advance)
    return version.root.path


def remake(version: Version, find: Find, advance: Advance = unheard) -> None:
    """Make root and tree anew, and put them in the place of those that are there; if that fails, these stay."""
    with locked(version.folder):
        _make(version, lineage_of(version, find, anew=True), advance)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a version's folder, against others who would make, drop or mend files of it; whether it could be had.

    `NotFound` when it was removed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"{folder.parent.name}:{folder.name} was removed meanwhile") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _make(version: Version, lineage: Lineage, advance: Advance) -> None:
    folder = version.folder
    new_root, new_tree = (folder / name for name in NEW_NAMES)
    try:
        for new in (new_root, new_tree):
            new.unlink(missing_ok=True)
        _write_root(new_root, lineage, advance)
        _check(version, lineage, new_root, new_tree, advance)
        # The tree first: where there is a root, there is its tree.
        if version.root.verity is not None:
            new_tree.replace(version.root.verity.tree.path)
        new_root.replace(version.root.path)
        sync(folder)
    except OSError as error:
        raise unwritten(folder, error) from error
    finally:
        for new in (new_root, new_tree):
            new.unlink(missing_ok=True)


def _write_root(new: Path, lineage: Lineage, advance: Advance) -> None:
    with copied(lineage.base.root.path, new, advance=advance) as target:
        for step in lineage.steps:
            if step.delta is None:
                raise AssertionError(f"{step.label} is a step without a delta")
            _apply(step.delta, target, step.root.size_bytes, advance)
        target.sync()


def _apply(file: DeltaFile, target: SparseFile, size_bytes: int, advance: Advance) -> None:
    try:
        with SparseFile.open(file.path) as source:
            delta.apply(open_cow(source), target, size_bytes=size_bytes, advance=advance)
    except FileNotFoundError as error:
        raise NetbootError(f"{file.path} is missing", hint="mend it: netboot image fsck --repair") from error
    except InvalidInput as error:
        hint = "bring it back from a copy; see netboot image fsck"
        raise NetbootError(f"{file.path} is damaged: {error.message}", hint=hint) from error


def _check(version: Version, lineage: Lineage, new_root: Path, new_tree: Path, advance: Advance) -> None:
    """Read what was made, write its tree, and compare both with the manifest."""
    wanted = version.root.verity
    if wanted is None:
        raise AssertionError(f"{version.label} has a delta but no hash tree")
    _, uuid = filesystem_uuids(version.image, version.number)
    with SparseFile.open(new_root) as data, SparseFile.open(new_tree, create=True) as tree:
        found = verity.build(data, tree, salt=wanted.salt, uuid=uuid, advance=advance)
        tree.sync()
    if found != wanted.root_hash or hash_file(new_tree).digest != wanted.tree.digest:
        raise _mismatch(version, lineage)
    new_root.chmod(0o444)
    new_tree.chmod(0o444)


def _mismatch(version: Version, lineage: Lineage) -> NetbootError:
    """Something that it was made of is damaged: find out what."""
    culprits = [
        str(damage.file)
        for each in (lineage.base, *lineage.steps)
        for damage in damage_of(each)
        if damage.file in (each.root.path, each.delta.path if each.delta else None)
    ]
    return NetbootError(
        f"the root of {version.label}, made of {lineage.base.label}'s and the changes since, is not what was published",
        hint=f"damaged: {', '.join(culprits)}; see netboot image fsck" if culprits else "see netboot image fsck",
    )
