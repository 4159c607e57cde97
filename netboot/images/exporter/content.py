"""A version's files, read from its root: whole, in one order, with all that they have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot.images.transfer.tar import Item
from netboot.images.transfer.walk import walk
from netboot.system.loop import attached
from netboot.system.mounts import mounted_nowhere

# Told how many bytes of how many are done.
Tell = Callable[[int, int], None]

_LOST_AND_FOUND = b"lost+found"


@contextmanager
def files_of(root: Path, tell: Tell) -> Iterator[Iterator[Item]]:
    """The files of a root file system; mounted where nobody sees it, for this block."""
    with attached(root) as device, mounted_nowhere(device, fstype="ext4") as folder:
        state = os.fstatvfs(folder)
        total = (state.f_blocks - state.f_bfree) * state.f_frsize
        yield _told(walk(folder, skip=lambda path: path == _LOST_AND_FOUND), tell, total)


def _told(items: Iterator[Item], tell: Tell, total: int) -> Iterator[Item]:
    done = 0
    for entry, chunks in items:
        yield entry, chunks
        done += sum(length for _, length in entry.parts)
        tell(min(done, total), total)
