"""The members of a client's archive: files, folders and links by their place in it, and one tree laid over another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

FOLDER_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    mode: int = FOLDER_MODE


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link, to whatever its target is on the client."""

    target: str


Entry = Folder | File | Link
Entries = Mapping[PurePosixPath, Entry]


def laid_over(trees: Iterable[Entries]) -> Entries:
    """Later trees over earlier ones, with every folder that something lies in; what a tree says of a place holds.

    So nothing lies beneath a file or a link, through which it would land elsewhere.
    """
    found: dict[PurePosixPath, Entry] = {}
    for tree in trees:
        for place in sorted(tree):
            entry = tree[place]
            for parent in reversed(place.parents[:-1]):
                if not isinstance(found.get(parent), Folder):
                    found[parent] = Folder()
            if not isinstance(entry, Folder):
                for below in [each for each in found if place in each.parents]:
                    del found[below]
            found[place] = entry
    return found


def beneath(folder: str, tree: Entries) -> Entries:
    """The tree within a folder."""
    return {PurePosixPath(folder) / place: entry for place, entry in tree.items()}
