"""The files of a version as its manifest lists them: the name, size and identity of each.

A file is known by its SHA-256, but for the root: that is known by the root hash of its dm-verity tree, which can be
made from the parent's tree and the changed blocks alone, where a SHA-256 would read everything at each commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netboot.errors import InvalidInput
from netboot.model.image import Digest

# What a version consists of besides its manifest: the part's name, then its file's.
FILES: Mapping[str, str] = {
    "root": "root.ext4",
    "verity": "root.verity",
    "delta": "root.delta",
    "kernel": "vmlinuz",
    "initrd": "initrd.img",
}

# dm-verity hashes whole blocks of this size.
BLOCK_BYTES = 4096

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a version: its size in bytes and digest."""

    size_bytes: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class VerityEntry:
    """The root hash and salt of a root's dm-verity tree, and the tree's own file."""

    root_hash: Digest
    salt: bytes
    tree: FileEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class RootEntry:
    """The root; `digest` in place of `verity` in format 1."""

    size_bytes: int
    verity: VerityEntry | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaEntry:
    """The changes to the parent: see `netboot.model.image.DeltaFile`."""

    size_bytes: int
    digest: Digest
    chunk_bytes: int
    changed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """All that a version consists of.  With a delta, root and tree can be made again and may be absent."""

    root: RootEntry
    kernel: FileEntry
    initrd: FileEntry
    delta: DeltaEntry | None = None

    def stored(self) -> Iterator[tuple[str, str]]:
        """The files that must be there, each with the name of its object (`netboot.images.objects`)."""
        yield FILES["kernel"], object_name(self.kernel.digest)
        yield FILES["initrd"], object_name(self.initrd.digest)
        if self.delta is not None:
            yield FILES["delta"], object_name(self.delta.digest)
        else:
            yield from self.derivable()

    def derivable(self) -> Iterator[tuple[str, str]]:
        """Root and tree, which are `stored` when there is no delta to make them from."""
        if verity := self.root.verity:
            yield FILES["root"], root_object(verity.root_hash)
            yield FILES["verity"], object_name(verity.tree.digest)


def object_name(digest: Digest) -> str:
    """Of the object that holds a file of this digest."""
    return f"sha256-{digest.hex}"


def root_object(root_hash: Digest) -> str:
    """Of the object that holds a root of this root hash."""
    return f"verity-{root_hash.hex}"


def shape_files(files: Files) -> dict[str, Any]:
    """As format 2 writes them."""
    verity, delta = files.root.verity, files.delta
    if verity is None:
        raise ValueError("a root without a verity tree is of format 1, which is not written")
    shape: dict[str, Any] = {
        "root": {
            "file": FILES["root"],
            "size_bytes": files.root.size_bytes,
            "root_hash": verity.root_hash.hex,
            "salt": verity.salt.hex(),
        },
        "verity": _shape("verity", verity.tree),
        "kernel": _shape("kernel", files.kernel),
        "initrd": _shape("initrd", files.initrd),
    }
    if delta is not None:
        sizes = {"chunk_bytes": delta.chunk_bytes, "changed_bytes": delta.changed_bytes}
        shape["delta"] = {**_shape("delta", delta), **sizes}
    return shape


def _shape(part: str, entry: FileEntry | DeltaEntry) -> dict[str, Any]:
    return {"file": FILES[part], "size_bytes": entry.size_bytes, "digest": str(entry.digest)}


_PLAIN = {"file": str, "size_bytes": int, "digest": str}
_ROOT = {"file": str, "size_bytes": int, "root_hash": str, "salt": str}
_DELTA = {**_PLAIN, "chunk_bytes": int, "changed_bytes": int}
# By format: the parts there are, each with its fields; a delta may be missing.
_PARTS: Mapping[int, Mapping[str, Mapping[str, type]]] = {
    1: {"root": _PLAIN, "kernel": _PLAIN, "initrd": _PLAIN},
    2: {"root": _ROOT, "verity": _PLAIN, "kernel": _PLAIN, "initrd": _PLAIN, "delta": _DELTA},
}


def parse_files(value: Mapping[str, Any], *, format: int) -> Files:
    """Raises `InvalidInput` naming what is wrong."""
    parts = _PARTS[format]
    if value.keys() | {"delta"} != parts.keys() | {"delta"} or not value.keys() <= parts.keys():
        raise InvalidInput(f"files are {', '.join(sorted(value)) or 'none'}, not {', '.join(sorted(parts))}")
    for part, entry in value.items():
        _check(part, entry, parts[part])
    return Files(
        root=_root(value),
        kernel=_entry(value["kernel"]),
        initrd=_entry(value["initrd"]),
        delta=_delta(value["delta"]) if "delta" in value else None,
    )


def _check(part: str, entry: Any, fields: Mapping[str, type]) -> None:
    if not isinstance(entry, dict) or entry.keys() != fields.keys():
        raise InvalidInput(f"files.{part} does not have exactly {', '.join(fields)}")
    for name, kind in fields.items():
        if type(entry[name]) is not kind:
            raise InvalidInput(f"files.{part}.{name} cannot be {entry[name]!r}")
    if entry["file"] != FILES[part] or entry["size_bytes"] < 0:
        raise InvalidInput(f"files.{part} is {entry['file']!r} of {entry['size_bytes']} bytes, not {FILES[part]!r}")


def _entry(entry: Mapping[str, Any]) -> FileEntry:
    return FileEntry(size_bytes=entry["size_bytes"], digest=Digest.parse(entry["digest"]))


def _root(value: Mapping[str, Any]) -> RootEntry:
    root = value["root"]
    if "root_hash" not in root:
        return RootEntry(size_bytes=root["size_bytes"], digest=Digest.parse(root["digest"]))
    if not _HASH.fullmatch(root["root_hash"]) or not _HASH.fullmatch(root["salt"]):
        raise InvalidInput("files.root: root_hash and salt are not 64 hex digits each")
    if root["size_bytes"] % BLOCK_BYTES or not root["size_bytes"]:
        raise InvalidInput(f"files.root is of {root['size_bytes']} bytes, which are no whole blocks of {BLOCK_BYTES}")
    verity = VerityEntry(
        root_hash=Digest(root["root_hash"]), salt=bytes.fromhex(root["salt"]), tree=_entry(value["verity"])
    )
    return RootEntry(size_bytes=root["size_bytes"], verity=verity)


def _delta(entry: Mapping[str, Any]) -> DeltaEntry:
    chunk, changed = entry["chunk_bytes"], entry["changed_bytes"]
    # The kernel's rule for chunks of a snapshot: a power of two; below a block there is nothing to gain.
    if chunk < BLOCK_BYTES or chunk & (chunk - 1) or changed < 0 or changed % chunk:
        raise InvalidInput(f"files.delta changes {changed} bytes in chunks of {chunk}")
    plain = _entry(entry)
    return DeltaEntry(size_bytes=plain.size_bytes, digest=plain.digest, chunk_bytes=chunk, changed_bytes=changed)
