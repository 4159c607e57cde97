"""Importing a folder: a system that is mounted, or was made by another tool."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from netboot.errors import InvalidInput
from netboot.images.importer.options import ImportOptions, Tell
from netboot.images.transfer.entry import Kind
from netboot.images.transfer.walk import walk
from netboot.images.transfer.writer import TreeWriter


def fill(source: Path, writer: TreeWriter, options: ImportOptions, scratch: Path, tell: Tell) -> tuple[str, ...]:
    """Copy the folder, but for what other file systems have below it (/proc and /sys of a running system)."""
    if scratch.resolve().is_relative_to(source.resolve()):
        raise InvalidInput(
            f"{source} holds the data directory, which would become a part of itself", hint="name another --data-dir"
        )
    root = os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        copy(root, writer, tell, total=_size(source), one_filesystem=True)
    finally:
        os.close(root)
    return ()


def copy(
    root: int, writer: TreeWriter, tell: Tell, *, total: int, prefix: bytes = b"", one_filesystem: bool = False
) -> None:
    """Write what is beneath an open folder, telling how much of `total` bytes that is so far."""
    done = 0
    for entry, chunks in walk(root, prefix=prefix, skip=_is_lost_and_found, one_filesystem=one_filesystem):
        writer.add(entry, chunks)
        done += sum(length for _, length in entry.parts) if entry.kind is Kind.FILE else 0
        tell(min(done, total), total)


def _is_lost_and_found(path: bytes) -> bool:
    # Every ext file system has its own.
    return path == b"lost+found"


def _size(source: Path) -> int:
    """About how much there is to copy."""
    total = 0
    device = source.stat().st_dev
    for folder, folders, files in os.walk(source):
        for name in files:
            try:
                state = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - of very many files
            except OSError:
                continue
            total += min(state.st_size, state.st_blocks * 512) if stat.S_ISREG(state.st_mode) else 0
        folders[:] = [each for each in folders if _on(device, folder, each)]
    return total


def _on(device: int, folder: str, name: str) -> bool:
    try:
        return os.lstat(os.path.join(folder, name)).st_dev == device  # noqa: PTH118
    except OSError:
        return False
