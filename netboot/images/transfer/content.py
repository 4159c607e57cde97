"""Writing a file's content, with holes where it is zero, so that a sparse file stays one whatever it came through."""

from __future__ import annotations

import os
from collections.abc import Iterator

_BLOCK = 4096
_ZEROS = bytes(_BLOCK)


def solid(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The runs of blocks in which not all is zero, with their offsets."""
    start: int | None = None
    for at in range(0, len(data), _BLOCK):
        block = data[at : at + _BLOCK]
        if block == _ZEROS[: len(block)]:
            if start is not None:
                yield start, data[start:at]
            start = None
        elif start is None:
            start = at
    if start is not None:
        yield start, data[start:]


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], offset + done)
