"""The manifest: what a version says about itself, as JSON beside its files.

The version's digest covers it, but for when, by whom and with what remark it was made, and it names what each file must
hold: so one digest stands for every bit of a version.  Reading is strict: a field that is missing, unknown or of the
wrong kind is an error that names it.  Format 2 is written; format 1, of versions stored whole with a SHA-256 of their
root, is read as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from netboot.errors import InvalidInput
from netboot.images.documents import check_fields, parse_object
from netboot.images.entries import FILES, FileEntry, Files, parse_files, shape_files
from netboot.model.image import Artefact, DeltaFile, Digest, Parent, Root, Verity, Version
from netboot.model.names import parse_image_name

FORMAT = 2
FILE_NAME = "manifest.json"


class OriginKind(StrEnum):
    RECIPE = "recipe"
    DRAFT = "draft"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a version was made from: a recipe or draft by its name, an import by what was given."""

    kind: OriginKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything known of a version.

    `created_by` is who published it; `packages` maps names to versions; `build` tells how it was made.  `parent` and
    `files.delta` are there together, or the version is stored whole.
    """

    image: str
    number: int
    origin: Origin
    created_at: float
    arch: str
    filesystem: str
    kernel_version: str
    files: Files
    parent: Parent | None = None
    created_by: str = ""
    kernel_args: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    build: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> str:
        """The manifest's one spelling: sorted, indented, ending in a newline."""
        parent = self.parent
        value = {
            "format": FORMAT,
            "image": self.image,
            "number": self.number,
            "parent": {"number": parent.number, "digest": str(parent.digest)} if parent else None,
            "origin": {"kind": self.origin.kind.value, "name": self.origin.name},
            "created_at": self.created_at,
            "created_by": self.created_by,
            "arch": self.arch,
            "filesystem": self.filesystem,
            "kernel_version": self.kernel_version,
            "kernel_args": list(self.kernel_args),
            "files": shape_files(self.files),
            "packages": dict(self.packages),
            "build": dict(self.build),
            "note": self.note,
        }
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


# Field, type in JSON: those of both formats, then of one.
_FIELDS: Mapping[str, tuple[type, ...]] = {
    "format": (int,),
    "image": (str,),
    "number": (int,),
    "created_at": (int, float),
    "arch": (str,),
    "filesystem": (str,),
    "kernel_version": (str,),
    "kernel_args": (list,),
    "files": (dict,),
    "packages": (dict,),
    "build": (dict,),
    "note": (str,),
}
_FIELDS_BY_FORMAT: Mapping[int, Mapping[str, tuple[type, ...]]] = {
    1: {**_FIELDS, "recipe": (str,)},
    2: {**_FIELDS, "parent": (dict, type(None)), "origin": (dict,), "created_by": (str,)},
}


def parse_manifest(text: str) -> Manifest:
    """Raises `InvalidInput` naming the field that is wrong."""
    value = parse_object(text)
    format = value.get("format")
    if type(format) is int and format not in _FIELDS_BY_FORMAT:
        raise InvalidInput(f"its format is {format}, this program reads 1 to {FORMAT}", hint="use a newer netboot")
    check_fields(value, _FIELDS_BY_FORMAT[format if type(format) is int else FORMAT])
    if value["number"] < 1:
        raise InvalidInput(f"number is {value['number']}, versions count from 1")
    manifest = Manifest(
        image=parse_image_name(value["image"]),
        number=value["number"],
        origin=_parse_origin(value["origin"]) if format != 1 else Origin(kind=OriginKind.RECIPE, name=value["recipe"]),
        created_at=float(value["created_at"]),
        created_by=value.get("created_by", ""),
        arch=value["arch"],
        filesystem=value["filesystem"],
        kernel_version=value["kernel_version"],
        kernel_args=tuple(_texts("kernel_args", value["kernel_args"])),
        files=parse_files(value["files"], format=value["format"]),
        parent=_parse_parent(value.get("parent")),
        packages=dict(zip(value["packages"], _texts("packages", value["packages"].values()), strict=True)),
        build=dict(zip(value["build"], _texts("build", value["build"].values()), strict=True)),
        note=value["note"],
    )
    _check_descent(manifest)
    return manifest


# What does not make a version another one: the same one can be built again, later and by somebody else.
_CIRCUMSTANCES = ("created_at", "created_by", "note")


def manifest_digest(text: str) -> Digest:
    """The digest of the version that a manifest's text describes; that of format 1 covers the text as it stands."""
    value = parse_object(text)
    if value.get("format") != 1:
        text = json.dumps({key: each for key, each in value.items() if key not in _CIRCUMSTANCES}, sort_keys=True)
    return Digest(hashlib.sha256(text.encode()).hexdigest())


def version_of(manifest: Manifest, *, digest: Digest, directory: Path) -> Version:
    """The manifest as the version that the rest of the program knows, its files in `directory`."""
    files = manifest.files

    def artefact(part: str, entry: FileEntry) -> Artefact:
        return Artefact(path=directory / FILES[part], size_bytes=entry.size_bytes, digest=entry.digest)

    verity, delta = files.root.verity, files.delta
    return Version(
        image=manifest.image,
        number=manifest.number,
        digest=digest,
        kernel_version=manifest.kernel_version,
        arch=manifest.arch,
        filesystem=manifest.filesystem,
        root=Root(
            path=directory / FILES["root"],
            size_bytes=files.root.size_bytes,
            verity=Verity(root_hash=verity.root_hash, salt=verity.salt, tree=artefact("verity", verity.tree))
            if verity
            else None,
            digest=files.root.digest,
        ),
        kernel=artefact("kernel", files.kernel),
        initrd=artefact("initrd", files.initrd),
        created_at=manifest.created_at,
        kernel_args=manifest.kernel_args,
        parent=manifest.parent,
        delta=DeltaFile(
            path=directory / FILES["delta"],
            size_bytes=delta.size_bytes,
            digest=delta.digest,
            chunk_bytes=delta.chunk_bytes,
            changed_bytes=delta.changed_bytes,
        )
        if delta
        else None,
    )


def _check_descent(manifest: Manifest) -> None:
    if (manifest.parent is None) != (manifest.files.delta is None):
        raise InvalidInput("parent and files.delta go together: it has one without the other")
    if manifest.parent and not 1 <= manifest.parent.number < manifest.number:
        raise InvalidInput(f"parent is {manifest.parent.number}, which is not before {manifest.number}")


def _parse_origin(value: Mapping[str, Any]) -> Origin:
    match value:
        case {"kind": str(kind), "name": str(name)} if len(value) == 2 and kind in set(OriginKind):
            return Origin(kind=OriginKind(kind), name=name)
        case _:
            raise InvalidInput(f"origin is not a kind, {', '.join(OriginKind)}, and a name")


def _parse_parent(value: Mapping[str, Any] | None) -> Parent | None:
    match value:
        case None:
            return None
        case {"number": int(number), "digest": str(digest)} if len(value) == 2 and type(number) is int:
            return Parent(number=number, digest=Digest.parse(digest))
        case _:
            raise InvalidInput("parent does not have exactly number and digest")


def _texts(name: str, values: Any) -> list[str]:
    texts = list(values)
    if not all(isinstance(each, str) for each in texts):
        raise InvalidInput(f"{name} holds something that is not text")
    return texts
