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
class Version:
    """One published state of an image.  `number` counts from 1; `digest` covers the whole manifest."""

    image: str
    number: int
    digest: Digest
    kernel_version: str
    arch: str
    filesystem: str
    root: Artefact
    kernel: Artefact
    initrd: Artefact
    created_at: float
    kernel_args: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.image}:{self.number}"

    @property
    def size_bytes(self) -> int:
        """Of all that it consists of."""
        return self.root.size_bytes + self.kernel.size_bytes + self.initrd.size_bytes
