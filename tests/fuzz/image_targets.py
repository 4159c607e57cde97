"""What reads deltas and hash trees, which may come from anywhere: a disk that decays, a stick, another site.

Bytes in, as in targets.py, which lists these as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from uuid import UUID

from netboot.images import delta, verity
from netboot.images.blocks import Patch
from netboot.images.cow import CowError, open_cow, write_cow
from netboot.model.image import Digest
from tests.blocks_kit import Memory

# As large as an image is here; the smallest chunk has 512 bytes and an area of such 32 records.
_CHUNK = 512
_CHUNKS = 64
_PARENT = bytes(range(256)) * (_CHUNKS * _CHUNK // 256)
_PARTS = b"".join(bytes((number,)) * verity.BLOCK_BYTES for number in range(3))


def cow_device(data: bytes) -> None:
    """What is taken lies within its file, is written again as the same, and reads as it is applied."""
    try:
        cow = open_cow(Memory(data))
    except CowError:
        return
    assert cow.changed_bytes <= len(data)
    assert sum(run.chunks for run in cow.runs()) == len(cow)
    again = Memory()
    write_cow(again, cow.patches(), chunk_bytes=cow.chunk_bytes)
    assert _changes(open_cow(again).patches()) == _changes(cow.patches())
    target, size = Memory(_PARENT), len(_PARENT)
    try:
        delta.apply(cow, target, size_bytes=size)
    except CowError:
        return
    assert target.content == delta.Overlay(Memory(_PARENT), cow, size).read(0, size)


def hash_tree(data: bytes) -> None:
    """Of a tree over our image that is accepted, every hash is the right one."""
    known, root = _tree(b"salt")
    tree, image = Memory(data), Memory(_PARTS)
    try:
        damage = verity.verify(image, tree, root)
    except verity.VerityError:
        return
    accepted = [verity.check_block(image.read(at * 4096, 4096), at, tree, root) for at in range(3)]
    if damage is None:
        assert data[4096 : len(known)] == known[4096:]
        assert accepted == [True, True, True]
    elif damage.part is verity.Part.DATA:
        raise AssertionError("the tree is right and the image is not, which is what it always was")


def cow_seeds() -> Iterator[bytes]:
    """Devices with few and many records, full areas, zeros, several sizes of chunks; one as a kernel writes it."""
    for chunk_bytes in (_CHUNK, 2 * _CHUNK):
        for count in (0, 1, 2, 5, 12):
            yield _device([Patch(3 * number * chunk_bytes, b"x" * chunk_bytes) for number in range(count)], chunk_bytes)
    full = [Patch(number * _CHUNK, bytes(_CHUNK)) for number in range(33)]
    # Content at the end of a file that is cut off there: zeros, and as long as an input may be.
    yield from (_device(full[:count], _CHUNK)[:8192] for count in (13, 32, 33))
    yield _device([], 4096)
    yield _device([Patch(0, b"x" * _CHUNK), Patch(_CHUNK, b"y" * _CHUNK)], _CHUNK).replace(
        bytes.fromhex("0000000000000000 0200000000000000 0100000000000000 0300000000000000"),
        bytes.fromhex("0100000000000000 0300000000000000 0000000000000000 0200000000000000"),
    )


def tree_seeds() -> Iterator[bytes]:
    for salt in (b"salt", b"", *(bytes((number,)) * number for number in range(1, 12)), bytes(256)):
        yield _tree(salt)[0]


def _changes(patches: Iterator[Patch]) -> list[tuple[int, bytes]]:
    """By the smallest chunk, whatever runs they came in."""
    return [
        (patch.offset + at, patch.data[at : at + _CHUNK])
        for patch in patches
        for at in range(0, len(patch.data), _CHUNK)
    ]


def _device(patches: list[Patch], chunk_bytes: int) -> bytes:
    target = Memory()
    write_cow(target, patches, chunk_bytes=chunk_bytes)
    return bytes(target.content)


@cache
def _tree(salt: bytes) -> tuple[bytes, Digest]:
    target = Memory()
    root = verity.build(Memory(_PARTS), target, salt=salt, uuid=UUID(int=0))
    return bytes(target.content), root
