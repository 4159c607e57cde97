"""What is derived of a version's root: a compressed file system of the same files, its hash tree, and a note of both.

`root.erofs`, `root.erofs.verity` and `root.erofs.json` lie beside the version's own files, and can be made again at any
time, so no manifest names them.  The note is laid down last and taken away first: what has no note is not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from netboot.errors import InvalidInput
from netboot.images.documents import check_fields, parse_object
from netboot.images.files import names_in, unreadable
from netboot.model.image import Artefact, Digest, Root, Verity, Version
from netboot.model.root import RootFormat

# A version's own root is ext4, and no derived one.
FORMATS = (RootFormat.EROFS, RootFormat.SQUASHFS)

NOTE_FORMAT = 1
_FIELDS: Mapping[str, tuple[type, ...]] = {
    "format": (int,),
    "size_bytes": (int,),
    "root_hash": (str,),
    "salt": (str,),
    "verity": (dict,),
}
_TREE_FIELDS: Mapping[str, tuple[type, ...]] = {"size_bytes": (int,), "digest": (str,)}
_HASH = re.compile(r"[0-9a-f]{64}")


def file_names(format: RootFormat) -> tuple[str, str, str]:
    """Of the file system, its tree and their note."""
    name = f"root.{format}"
    return name, f"{name}.verity", f"{name}.json"


# Every file that may be there, and of which format it is.
FILES: Mapping[str, RootFormat] = {name: each for each in FORMATS for name in file_names(each)}


def find_derived(version: Version, format: RootFormat) -> Root | None:
    """The version's root in this format, None while it is not made.  `NetbootError` when its note cannot be read."""
    note = version.folder / file_names(format)[2]
    try:
        return parse_note(note.read_text(encoding="utf-8"), version.folder, format)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise unreadable(note, InvalidInput("it is not UTF-8")) from error
    except (OSError, InvalidInput) as error:
        raise unreadable(note, error) from error


def derived_files(version: Version) -> list[Path]:
    """All that is there of what is derived, whole or not."""
    return [version.folder / name for name in sorted(FILES.keys() & set(names_in(version.folder)))]


def is_unfinished(file: Path) -> bool:
    """Whether a file is one of a derived root that was being laid down, or taken away, when that was broken off."""
    format = FILES.get(file.name)
    return format is not None and not file.with_name(file_names(format)[2]).exists()


def unfinished(version: Version) -> Iterator[Path]:
    """All such files of a version."""
    return (file for file in derived_files(version) if is_unfinished(file))


def shape_note(root: Root) -> str:
    """The note of a derived root."""
    if root.verity is None:
        raise ValueError("a derived root has a hash tree")
    value = {
        "format": NOTE_FORMAT,
        "size_bytes": root.size_bytes,
        "root_hash": root.verity.root_hash.hex,
        "salt": root.verity.salt.hex(),
        "verity": {"size_bytes": root.verity.tree.size_bytes, "digest": str(root.verity.tree.digest)},
    }
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def parse_note(text: str, folder: Path, format: RootFormat) -> Root:
    """The root that a note tells of, its files in `folder`.  Raises `InvalidInput` naming what is wrong."""
    value = parse_object(text)
    check_fields(value, _FIELDS)
    if value["format"] != NOTE_FORMAT:
        raise InvalidInput(f"its format is {value['format']}, this program reads {NOTE_FORMAT}")
    for name in ("root_hash", "salt"):
        if not _HASH.fullmatch(value[name]):
            raise InvalidInput(f"{name} is not 64 hex digits")
    name, tree_name, _ = file_names(format)
    return Root(
        path=folder / name,
        size_bytes=value["size_bytes"],
        verity=Verity(
            root_hash=Digest(value["root_hash"]),
            salt=bytes.fromhex(value["salt"]),
            tree=_tree(value["verity"], folder / tree_name),
        ),
    )


def _tree(value: Mapping[str, Any], file: Path) -> Artefact:
    check_fields(value, _TREE_FIELDS)
    return Artefact(path=file, size_bytes=value["size_bytes"], digest=Digest.parse(value["digest"]))
