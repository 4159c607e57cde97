"""Images and their versions: immutable, numbered, named by digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from netboot.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest, 64 lower-case hex digits; written `sha256:...`."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not (match := re.fullmatch(r"sha256:([0-9a-f]{64})", text)):
            raise InvalidInput(f"{text!r} is not a digest", hint="a digest is sha256: and 64 hex digits")
        return cls(match.group(1))

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file of a version: its path on the server, size in bytes and digest."""

    path: Path
    size_bytes: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Verity:
    """What names every bit of a root: the root hash and salt of its dm-verity tree, and the tree's file."""

    root_hash: Digest
    salt: bytes
    tree: Artefact


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A version's root file system, raw.

    The file at `path`, and that of its tree, may be absent: the version is then stored as its changes to its parent,
    and `ImageStore.materialise` makes both.  Versions of the manifest's first format have a `digest` of the file in
    place of `verity`, and are always stored whole.
    """

    path: Path
    size_bytes: int
    verity: Verity | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaFile:
    """A version's changes to its parent, as a copy-on-write device of `chunk_bytes` a chunk.

    `changed_bytes` is how much of the root differs, in whole chunks.
    """

    path: Path
    size_bytes: int
    digest: Digest
    chunk_bytes: int
    changed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The version of the same image that a version is stored as changes to."""

    number: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One published state of an image.  `number` counts from 1; `digest` covers the whole manifest.

    `parent` and `delta` are there together, or the version is stored whole.
    """

    image: str
    number: int
    digest: Digest
    kernel_version: str
    arch: str
    filesystem: str
    root: Root
    kernel: Artefact
    initrd: Artefact
    created_at: float
    kernel_args: tuple[str, ...] = ()
    parent: Parent | None = None
    delta: DeltaFile | None = None

    @property
    def label(self) -> str:
        return f"{self.image}:{self.number}"

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.root.path.parent

    @property
    def size_bytes(self) -> int:
        """Of what a client boots, however it is stored."""
        return self.root.size_bytes + self.kernel.size_bytes + self.initrd.size_bytes
