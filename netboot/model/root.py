"""How a client reaches its root, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from netboot.model.image import Digest


class RootMode(StrEnum):
    """The way to the version's root: its tree, its file, or its bytes as a disk."""

    NFS = "nfs"
    NFS_FILE = "nfs-file"
    ISCSI = "iscsi"


class RootFormat(StrEnum):
    """The file system that a client mounts, where it mounts one itself: the version's own, or one derived of it."""

    EXT4 = "ext4"
    EROFS = "erofs"
    SQUASHFS = "squashfs"


class Persistence(StrEnum):
    """Whether a client has a writable disk of its own over the version, in place of the temporary layer.

    `RESET` is made anew for each boot; `KEEP` is there again, as long as the client boots the same version.
    """

    OFF = "off"
    RESET = "reset"
    KEEP = "keep"


class RootForm(NamedTuple):
    """What of a version is exported; `format` is None where clients are given a tree of files."""

    mode: RootMode
    format: RootFormat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFiles:
    """A file system's file and its dm-verity tree; the last two are None of versions that have no tree."""

    path: Path
    tree: Path | None = None
    root_hash: Digest | None = None


@dataclass(frozen=True, slots=True)
class RootPlace:
    """Where a client finds its root on this server: what stands after MODE:SERVER: on its kernel line.

    `tree` is the name of the dm-verity tree's file beside a file, and `root_hash` what it must come to; None for a
    tree of files, and for versions without.
    """

    place: str
    tree: str | None = None
    root_hash: Digest | None = None
