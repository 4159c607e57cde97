"""Putting a staged version in its place: everything reaches the disk, then one rename shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netboot.images.files import sync
from netboot.images.manifest import FILE_NAME, Manifest
from netboot.images.objects import Objects
from netboot.images.staging import Staging
from netboot.model.image import Version


def put_in_place(
    images: Path, staging: Staging, manifest: Manifest, *, parent: Version | None, parents_objects: Mapping[str, str]
) -> None:
    """Make what is staged the version of this manifest, its files objects or links to those that there are.

    `parents_objects` are the names of the parent's files as objects, which those of the first format are not yet.
    """
    _check_staged(staging, manifest)
    (staging.version / FILE_NAME).write_text(manifest.to_json(), encoding="utf-8")
    for file in staging.version.iterdir():
        file.chmod(0o444)
        sync(file)
    staging.version.chmod(0o755)
    home, objects = images / staging.image, Objects(images)
    home.mkdir(exist_ok=True)
    with objects.locked():
        for name, object in manifest.files.stored():
            if parent is not None and parents_objects.get(name) == object:
                _share(objects, parent.folder / name, object)
            objects.adopt(staging.version / name, object)
        sync(staging.version)
        staging.version.rename(home / str(staging.number))
        sync(home)
        sync(images)


def _share(objects: Objects, file: Path, name: str) -> None:
    """Make a file of the parent an object, if it is none."""
    if file.exists() and not objects.path(name).exists():
        objects.adopt(file, name)


def _check_staged(staging: Staging, manifest: Manifest) -> None:
    """A version with a file too few would be seen as damaged, one with a file too many would keep it for ever."""
    if (manifest.image, manifest.number) != (staging.image, staging.number):
        raise ValueError(f"a manifest of {manifest.image}:{manifest.number} for {staging.image}:{staging.number}")
    stored = {name for name, _ in manifest.files.stored()}
    allowed = stored | {name for name, _ in manifest.files.derivable()}
    there = {file.name for file in staging.version.iterdir()}
    if not stored <= there or not there <= allowed:
        raise ValueError(f"staged are {sorted(there)}, the manifest stores {sorted(stored)}")
