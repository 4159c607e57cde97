"""A writable copy of a root's file, as cheap as can be had.

It shares its blocks with the original where the file system can (FICLONE); else the data is copied, without the holes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netboot.images import blocks
from netboot.images.blocks import Advance, unheard
from netboot.system.reflink import clone
from netboot.system.sparse import SparseFile


@contextmanager
def copied(source: Path, new: Path, *, mode: int = 0o644, advance: Advance = unheard) -> Iterator[SparseFile]:
    """`new`, which must not be there yet, with the content of `source`; open for further changes.

    Blocks.  Nothing is on the disk for sure before `sync`.  Raises `OSError`.
    """
    with _opened(source, new, mode) as (original, target):
        if not clone(original, target):
            blocks.copy(SparseFile(original), SparseFile(target), advance=advance)
        yield SparseFile(target)


def cloned(source: Path, new: Path, *, mode: int = 0o644) -> bool:
    """As `copied`, but False, with nothing made, where the file system cannot share blocks."""
    with _opened(source, new, mode) as (original, target):
        if clone(original, target):
            os.fsync(target)
            return True
    new.unlink()
    return False


@contextmanager
def _opened(source: Path, new: Path, mode: int) -> Iterator[tuple[int, int]]:
    with ExitStack() as stack:
        original = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, original)
        target = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        stack.callback(os.close, target)
        yield original, target
