"""Removing what a layer hides, but for what the same layer brought; no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Set


def remove_name(parent: int, name: bytes, place: bytes, keep: Set[bytes], *, itself: bool) -> bool:
    """Remove `name` in the open folder `parent`, and all below it; its path in the tree is `place`.

    The paths `keep` stay, and the folders they are in; without `itself` only what is below goes.  Gives whether nothing
    is left of it.
    """
    try:
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return True
    if not stat.S_ISDIR(there.st_mode):
        if place in keep or not itself:
            return False
        os.unlink(name, dir_fd=parent)
        return True
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        below = [os.fsencode(each) for each in os.listdir(folder)]  # noqa: PTH208 - of a descriptor
        gone = [remove_name(folder, each, place + b"/" + each, keep, itself=True) for each in below]
    finally:
        os.close(folder)
    if not all(gone) or place in keep or not itself:
        return False
    os.rmdir(name, dir_fd=parent)
    return True


def remove_content(folder: int, keep: Set[bytes]) -> None:
    """Remove what is in the tree's own root, which is open, but for `keep`."""
    for name in os.listdir(folder):
        remove_name(folder, os.fsencode(name), os.fsencode(name), keep, itself=True)
