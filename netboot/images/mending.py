"""Mending what `netboot.images.fsck` found, from objects, parents and deltas; what cannot be mended is left as it is.

A lost file comes back from its object, if that is whole; a root is made from its parent's and the delta, a tree from
its root, a delta from the two roots that it is the difference of; what is derived of a root is
derived again.  What was mended has the digest that it was
published with, or it is not put in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from netboot.errors import NetbootError
from netboot.images import delta, verity
from netboot.images.blocks import Advance, unheard
from netboot.images.cow import write_cow
from netboot.images.derive import remake as remake_derived
from netboot.images.derived import FILES as DERIVED_FILES
from netboot.images.entries import FILES, object_name, root_object
from netboot.images.files import same_file, sync
from netboot.images.fsck import Fault, Problem
from netboot.images.garbage import clear_leftover
from netboot.images.identity import filesystem_uuids
from netboot.images.measure import hash_file
from netboot.images.objects import Objects
from netboot.images.removal import drop_orphans
from netboot.images.roots import lineage_of, locked, remake
from netboot.images.staging import FOLDER as STAGING
from netboot.images.staging import clear_abandoned
from netboot.images.store import ImageStore
from netboot.images.whole import damage_of, damage_of_derived
from netboot.model.image import Verity, Version
from netboot.model.names import VersionRef
from netboot.system.sparse import SparseFile


def mend(store: ImageStore, fault: Fault, advance: Advance = unheard) -> bool:
    """Whether it is well again.  Errors of what it would be mended from count as not."""
    try:
        return _MENDERS[fault.problem](store, fault, advance)
    except NetbootError:
        return False


def _mend_file(store: ImageStore, fault: Fault, advance: Advance) -> bool:
    version = _version(store, fault)
    if format := DERIVED_FILES.get(fault.path.name):
        if any(damage_of_derived(version, format, advance)):
            remake_derived(store, version, format, advance)
        return True
    if not any(damage.file == fault.path for damage in damage_of(version, advance)):
        return True  # mended with another one
    part = next((part for part, name in FILES.items() if name == fault.path.name), "")
    if _from_object(store, version, fault.path):
        return True
    maker = _MAKERS.get(part)
    return maker is not None and maker(store, version, advance)


def _from_object(store: ImageStore, version: Version, file: Path) -> bool:
    """Only where the object is another file than the damaged one, and is what its name says."""
    if version.root.verity is None:
        return False  # of the first format, which has no objects
    objects, name = Objects(store.directory), _object_names(store, version)[file.name]
    place = objects.path(name)
    if not place.exists() or same_file(place, file) or _name_of(place, version.root.verity) != name:
        return False
    with locked(version.folder), objects.locked():
        objects.restore(name, file)
    return True


def _name_of(file: Path, tree: Verity) -> str:
    """The name of the object that a file would be."""
    if not file.name.startswith("verity-"):
        return object_name(hash_file(file).digest)
    with SparseFile.open(file) as data:
        return root_object(verity.root_of(data, salt=tree.salt))


def _object_names(store: ImageStore, version: Version) -> dict[str, str]:
    files = store.manifest(version).files
    return dict((*files.stored(), *files.derivable()))


def _make_root(store: ImageStore, version: Version, advance: Advance) -> bool:
    remake(version, store.find, advance)
    return True


def _make_tree(store: ImageStore, version: Version, advance: Advance) -> bool:
    """From the root that is there."""
    wanted = version.root.verity
    if wanted is None or not version.root.path.exists():
        return False
    _, uuid = filesystem_uuids(version.image, version.number)

    def write(new: SparseFile) -> None:
        with SparseFile.open(version.root.path) as data:
            verity.build(data, new, salt=wanted.salt, uuid=uuid, advance=advance)

    return _put(store, version, wanted.tree.path, write)


def _make_delta(store: ImageStore, version: Version, advance: Advance) -> bool:
    """From the two roots: both have to be there, or to be made without this delta."""
    if version.delta is None or version.parent is None or not version.root.path.exists():
        return False
    parent = store.get(VersionRef(version.image, version.parent.number))
    before, chunk_bytes = store.materialise(parent, advance), version.delta.chunk_bytes

    def write(new: SparseFile) -> None:
        with SparseFile.open(before) as old, SparseFile.open(version.root.path) as now:
            patches = delta.make(old, now, chunk_bytes=chunk_bytes, advance=advance)
            write_cow(new, patches, chunk_bytes=chunk_bytes)

    return _put(store, version, version.delta.path, write)


def _put(store: ImageStore, version: Version, file: Path, write: Callable[[SparseFile], None]) -> bool:
    """Write a file anew and put it in the place of the damaged one, if it became what was published."""
    name = _object_names(store, version)[file.name]
    new = file.with_name(f".{file.name}.new")
    with locked(version.folder):
        try:
            new.unlink(missing_ok=True)
            with SparseFile.open(new, create=True) as target:
                write(target)
                target.sync()
            if name != object_name(hash_file(new).digest):
                return False
            new.chmod(0o444)
            new.replace(file)
            sync(file.parent)
        finally:
            new.unlink(missing_ok=True)
    if file.name in dict(store.manifest(version).files.stored()):
        objects = Objects(store.directory)
        with objects.locked():
            objects.adopt(file, name)
    return True


def _link(store: ImageStore, fault: Fault, advance: Advance) -> bool:
    version = _version(store, fault)
    objects = Objects(store.directory)
    with objects.locked():
        objects.adopt(fault.path, dict(store.manifest(version).files.stored())[fault.path.name])
    return True


def _drop_orphan(store: ImageStore, fault: Fault, advance: Advance) -> bool:
    drop_orphans(store)
    return not fault.path.exists()


def _clear(store: ImageStore, fault: Fault, advance: Advance) -> bool:
    if (store.directory / STAGING) in fault.path.parents:
        clear_abandoned(store.directory)
    else:
        clear_leftover(store.directory, fault.path)
    return not fault.path.exists()


def _look_again(store: ImageStore, fault: Fault, advance: Advance) -> bool:
    """Its root can be had if that of an ancestor was mended, or if it was made whole and is an object."""
    version = _version(store, fault)
    if version.root.verity is not None:
        for file in (version.root.verity.tree.path, version.root.path):
            _from_object(store, version, file)
    lineage_of(version, store.find)
    return True


def _cannot(store: ImageStore, fault: Fault, advance: Advance) -> bool:
    return False


def _version(store: ImageStore, fault: Fault) -> Version:
    return store.get(VersionRef.parse(fault.label or ""))


_MENDERS: Mapping[Problem, Callable[[ImageStore, Fault, Advance], bool]] = {
    Problem.UNREADABLE: _cannot,
    Problem.DAMAGED: _mend_file,
    Problem.LOST_PARENT: _look_again,
    Problem.LOST_TAG: _cannot,
    Problem.LOST_DRAFT: _cannot,
    Problem.UNLINKED: _link,
    Problem.ORPHAN: _drop_orphan,
    Problem.ABANDONED: _clear,
    Problem.FOREIGN: _cannot,
}

_MAKERS: Mapping[str, Callable[[ImageStore, Version, Advance], bool]] = {
    "root": _make_root,
    "verity": _make_tree,
    "delta": _make_delta,
}
