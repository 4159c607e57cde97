"""Archives made by hand for tests, and what came out of them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from netboot.images.transfer.entry import Entry, Kind
from netboot.images.transfer.tar import Item, read_tar, write_tar
from netboot.images.transfer.walk import walk

OWN = {"uid": os.getuid(), "gid": os.getgid()}


def item(path: str | bytes, content: bytes | None = None, **fields: Any) -> Item:
    """A file with this content, or what the fields say."""
    name = path.encode() if isinstance(path, str) else path
    if content is None:
        return Entry(**{"path": name, "kind": Kind.FILE, **OWN, **fields}), iter(())
    fields = {"kind": Kind.FILE, "size": len(content), **OWN, **fields}
    return Entry(path=name, **fields), iter([(0, content)] if content else [])


def folder(path: str) -> Item:
    return item(path, kind=Kind.FOLDER, mode=0o755)


def symlink(path: str, target: str) -> Item:
    return item(path, kind=Kind.SYMLINK, mode=0o777, target=target.encode())


def hardlink(path: str, target: str) -> Item:
    return item(path, kind=Kind.HARDLINK, target=target.encode())


def archive(items: Iterable[Item], *, holes: bool = False) -> bytes:
    target = io.BytesIO()
    write_tar(items, target, holes=holes)
    return target.getvalue()


def read(data: bytes, *, end_required: bool = True) -> Iterator[tuple[Entry, bytes]]:
    """The files of an archive with their whole content, holes filled."""
    for entry, chunks in read_tar(io.BytesIO(data), end_required=end_required):
        yield entry, whole(entry, chunks)


def whole(entry: Entry, chunks: Iterable[tuple[int, bytes]]) -> bytes:
    content = bytearray(entry.size)
    for offset, data in chunks:
        content[offset : offset + len(data)] = data
    return bytes(content)


def seen(tree: Path) -> list[tuple[Entry, bytes]]:
    """A folder's files with their content, as `walk` tells them."""
    root = os.open(tree, os.O_PATH | os.O_DIRECTORY)
    try:
        return [(entry, whole(entry, chunks)) for entry, chunks in walk(root)]
    finally:
        os.close(root)
