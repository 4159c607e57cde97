"""The manifest: what a version says about itself, as JSON beside its files.

Its text is what the version's digest covers, and it names the digest of each file, so one digest stands for every bit
of a version.  Reading is strict: a field that is missing, unknown or of the wrong kind is an error that names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netboot.errors import InvalidInput
from netboot.model.image import Artefact, Digest, Version
from netboot.model.names import parse_image_name

FORMAT = 1
FILE_NAME = "manifest.json"

# What a version consists of besides its manifest: the part's name, then its file's.
FILES: Mapping[str, str] = {"root": "root.ext4", "kernel": "vmlinuz", "initrd": "initrd.img"}

# Field, type in JSON.
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "format": int,
    "image": str,
    "number": int,
    "recipe": str,
    "created_at": (int, float),
    "arch": str,
    "filesystem": str,
    "kernel_version": str,
    "kernel_args": list,
    "files": dict,
    "packages": dict,
    "build": dict,
    "note": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a version: its size in bytes and digest."""

    size_bytes: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything known of a version.  `packages` maps names to versions; `build` tells how it was made."""

    image: str
    number: int
    recipe: str
    created_at: float
    arch: str
    filesystem: str
    kernel_version: str
    files: Mapping[str, FileEntry]
    kernel_args: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    build: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> str:
        """The manifest's one spelling: sorted, indented, ending in a newline."""
        value = {
            "format": FORMAT,
            "image": self.image,
            "number": self.number,
            "recipe": self.recipe,
            "created_at": self.created_at,
            "arch": self.arch,
            "filesystem": self.filesystem,
            "kernel_version": self.kernel_version,
            "kernel_args": list(self.kernel_args),
            "files": {
                part: {"file": FILES[part], "size_bytes": entry.size_bytes, "digest": str(entry.digest)}
                for part, entry in self.files.items()
            },
            "packages": dict(self.packages),
            "build": dict(self.build),
            "note": self.note,
        }
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Raises `InvalidInput` naming the field that is wrong."""
    value = _object(text)
    _check_fields(value)
    if value["format"] != FORMAT:
        raise InvalidInput(f"its format is {value['format']}, this program reads {FORMAT}", hint="use a newer netboot")
    if value["number"] < 1:
        raise InvalidInput(f"number is {value['number']}, versions count from 1")
    return Manifest(
        image=parse_image_name(value["image"]),
        number=value["number"],
        recipe=value["recipe"],
        created_at=float(value["created_at"]),
        arch=value["arch"],
        filesystem=value["filesystem"],
        kernel_version=value["kernel_version"],
        kernel_args=tuple(_texts("kernel_args", value["kernel_args"])),
        files=_parse_files(value["files"]),
        packages=dict(zip(value["packages"], _texts("packages", value["packages"].values()), strict=True)),
        build=dict(zip(value["build"], _texts("build", value["build"].values()), strict=True)),
        note=value["note"],
    )


def manifest_digest(text: str) -> Digest:
    return Digest(hashlib.sha256(text.encode()).hexdigest())


def version_of(manifest: Manifest, *, digest: Digest, directory: Path) -> Version:
    """The manifest as the version that the rest of the program knows, its files in `directory`."""

    def artefact(part: str) -> Artefact:
        entry = manifest.files[part]
        return Artefact(path=directory / FILES[part], size_bytes=entry.size_bytes, digest=entry.digest)

    return Version(
        image=manifest.image,
        number=manifest.number,
        digest=digest,
        kernel_version=manifest.kernel_version,
        arch=manifest.arch,
        filesystem=manifest.filesystem,
        root=artefact("root"),
        kernel=artefact("kernel"),
        initrd=artefact("initrd"),
        created_at=manifest.created_at,
        kernel_args=manifest.kernel_args,
    )


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"it is not JSON: {error.msg} in line {error.lineno}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise InvalidInput(f"it is not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("it is not a JSON object")
    return value


def _refuse_constant(name: str) -> float:
    raise InvalidInput(f"{name} is no number of JSON")


def _check_fields(value: Mapping[str, Any]) -> None:
    if missing := sorted(_FIELDS.keys() - value.keys()):
        raise InvalidInput(f"it lacks {', '.join(missing)}")
    if unknown := sorted(value.keys() - _FIELDS.keys()):
        raise InvalidInput(f"it has the unknown field {', '.join(unknown)}")
    for name, kind in _FIELDS.items():
        # bool is a kind of int in Python, but not in JSON.
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise InvalidInput(f"{name} cannot be {value[name]!r}")


def _texts(name: str, values: Any) -> list[str]:
    texts = list(values)
    if not all(isinstance(each, str) for each in texts):
        raise InvalidInput(f"{name} holds something that is not text")
    return texts


def _parse_files(value: Mapping[str, Any]) -> dict[str, FileEntry]:
    if value.keys() != FILES.keys():
        raise InvalidInput(f"files are {', '.join(sorted(value))}, not {', '.join(sorted(FILES))}")
    return {part: _parse_file(part, entry) for part, entry in value.items()}


def _parse_file(part: str, entry: Any) -> FileEntry:
    match entry:
        case {"file": str(name), "size_bytes": int(size), "digest": str(digest)} if len(entry) == 3:
            if name != FILES[part] or size < 0:
                raise InvalidInput(f"files.{part} is {name!r} of {size} bytes, not {FILES[part]!r}")
            return FileEntry(size_bytes=size, digest=Digest.parse(digest))
        case _:
            raise InvalidInput(f"files.{part} does not have exactly file, size_bytes and digest")
