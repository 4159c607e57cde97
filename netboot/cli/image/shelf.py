"""A version as people are shown it: what it says about itself, its tags, and what it takes on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netboot.cli.shapes import Shape, version_shape
from netboot.images.derived import FILES as DERIVED_FILES
from netboot.images.derived import FORMATS, find_derived
from netboot.images.entries import FILES
from netboot.images.manifest import Manifest
from netboot.images.store import ImageStore
from netboot.model.image import Root, Version
from netboot.model.root import RootFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """`stored_bytes` is what its files take, `made_bytes` what its files take that can be made again: root and tree
    that were made from its changes, and what is `derived` of its root, by format."""

    version: Version
    manifest: Manifest
    tags: tuple[str, ...]
    stored_bytes: int
    made_bytes: int
    derived: Mapping[RootFormat, Root]


def shelved(store: ImageStore, version: Version) -> Shelved:
    manifest = store.manifest(version)
    folder = version.folder
    stored = {name for name, _ in manifest.files.stored()}
    if store.is_whole(version):
        stored |= {FILES["root"], FILES["verity"]}
    return Shelved(
        version=version,
        manifest=manifest,
        tags=tuple(tag for tag, number in store.tags(version.image).current.items() if number == version.number),
        stored_bytes=sum(_taken(folder / name) for name in stored),
        made_bytes=sum(_taken(folder / name) for name in (*FILES.values(), *DERIVED_FILES) if name not in stored),
        derived={each: root for each in FORMATS if (root := find_derived(version, each))},
    )


def shelved_shape(shelved: Shelved) -> Shape:
    """The version's shape, and what else is known of it."""
    manifest = shelved.manifest
    return {
        **version_shape(shelved.version),
        "tags": list(shelved.tags),
        "origin": {"kind": manifest.origin.kind.value, "name": manifest.origin.name},
        "created_by": manifest.created_by,
        "note": manifest.note,
        "size_bytes": shelved.version.size_bytes,
        "stored_bytes": shelved.stored_bytes,
        "made_bytes": shelved.made_bytes,
        "derived": [derived_shape(each, root) for each, root in shelved.derived.items()],
    }


def derived_shape(format: RootFormat, root: Root) -> Shape:
    """A root that was derived of a version's."""
    verity = root.verity
    return {
        "format": format.value,
        "path": str(root.path),
        "size_bytes": root.size_bytes,
        "root_hash": verity.root_hash.hex if verity else None,
        "tree": str(verity.tree.path) if verity else None,
    }


def _taken(file: Path) -> int:
    """What a file takes on the disk, without its holes; nothing when it is not there."""
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
