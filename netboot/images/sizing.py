"""How large a file system must be for a tree that brings no size of its own."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def measure_tree(tree: Path) -> tuple[int, int]:
    """How many bytes a tree takes on a disk, and how many files it has; those with several names are counted once."""
    size = 0
    seen: set[int] = set()
    for folder, folders, names in os.walk(tree):
        for name in (*folders, *names):
            state = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - of very many files
            if state.st_ino not in seen:
                seen.add(state.st_ino)
                size += max(state.st_blocks * 512, 4096 if stat.S_ISDIR(state.st_mode) else 0)
    return size, len(seen)


def fitting_size(size_bytes: int, files: int) -> int:
    """How large a file system is made for so much content: a third more, and inodes to spare."""
    # An inode is made for every 16 KiB.
    inodes = (files + 1000) * 5 // 4 * (16 << 10)
    wanted = max(size_bytes * 4 // 3 + (256 << 20), inodes)
    step = 64 << 20
    return -(-wanted // step) * step
