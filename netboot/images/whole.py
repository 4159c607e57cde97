"""Whether a version is bit for bit what it was published as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError
from netboot.images import verity
from netboot.images.blocks import Advance, unheard
from netboot.images.derived import FORMATS, derived_files, file_names, find_derived
from netboot.images.measure import hash_file
from netboot.model.image import Artefact, DeltaFile, Digest, Root, Version
from netboot.model.root import RootFormat
from netboot.system.sparse import SparseFile

MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a version that is not what it was, and in words what is the matter with it."""

    file: Path
    what: str

    def __str__(self) -> str:
        return f"{self.file} {self.what}"


def damage_of(version: Version, advance: Advance = unheard) -> Iterator[Damage]:
    """Every file of `version` that is not whole.  Reads all of them; holes are known to be zeros.

    Root and tree may be absent where there is a delta to make them from.
    """
    yield from _damage_of_file(version.kernel.path, version.kernel, advance)
    yield from _damage_of_file(version.initrd.path, version.initrd, advance)
    if version.delta is not None:
        yield from _damage_of_file(version.delta.path, version.delta, advance)
    yield from damage_of_root(version, advance)
    for format in FORMATS:
        yield from damage_of_derived(version, format, advance)


def damage_of_derived(version: Version, format: RootFormat, advance: Advance = unheard) -> Iterator[Damage]:
    """What is derived of a version in this format; none where nothing is."""
    try:
        root = find_derived(version, format)
    except NetbootError as error:
        note = version.folder / file_names(format)[2]
        yield Damage(note, error.message.removeprefix(f"{note} "))
        return
    if root is not None:
        yield from _damage_of_file_system(root, advance)


def damage_of_root(version: Version, advance: Advance = unheard) -> Iterator[Damage]:
    """Root and tree alone."""
    for damage in _damage_of_file_system(version.root, advance):
        if version.delta is None or damage.what != MISSING:
            yield damage


def expected_bytes(version: Version) -> int:
    """What `damage_of` tells `advance` in all, as far as can be known before."""
    root, tree = version.root, version.root.verity.tree if version.root.verity else None
    files: list[Artefact | DeltaFile | Root | None] = [version.kernel, version.initrd, version.delta, tree, root]
    derived = sum(file.stat().st_size for file in derived_files(version))
    return derived + sum(file.size_bytes for file in files if file is not None and file.path.exists())


def _damage_of_file_system(root: Root, advance: Advance) -> Iterator[Damage]:
    """The root first: making it anew makes its tree as well."""
    if root.verity is None:
        yield from _damage_of_file(root.path, root, advance)
        return
    yield from _damage_by_verity(root, root.verity.root_hash, root.verity.salt, advance)
    yield from _damage_of_file(root.verity.tree.path, root.verity.tree, advance)


def _damage_of_file(file: Path, wanted: Artefact | DeltaFile | Root, advance: Advance) -> Iterator[Damage]:
    try:
        found = hash_file(file, advance)
    except OSError as error:
        yield Damage(file, _unread(error))
        return
    if found.size_bytes != wanted.size_bytes or found.digest != wanted.digest:
        yield Damage(file, "is not what was published")


def _damage_by_verity(root: Root, root_hash: Digest, salt: bytes, advance: Advance) -> Iterator[Damage]:
    try:
        with SparseFile.open(root.path) as data:
            if data.size_bytes != root.size_bytes or verity.root_of(data, salt=salt, advance=advance) != root_hash:
                yield Damage(root.path, "is not what was published")
    except OSError as error:
        yield Damage(root.path, _unread(error))
    except InvalidInput as error:
        yield Damage(root.path, f"cannot be a root: {error.message}")


def _unread(error: OSError) -> str:
    return MISSING if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
