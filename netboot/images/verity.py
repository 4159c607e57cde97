"""dm-verity: a tree of hashes over an image, whose root stands for every block of it.

Format 1 with SHA-256 and blocks of 4096 bytes, exactly as `veritysetup format` writes it: a superblock, then the
levels of the tree from the top down to the digests of the image's own blocks.  A hash is that of the salt and the
block; a hash block holds 128, and zeros where there are no more.  The root hash is that of the topmost block.
Source: Linux Documentation/admin-guide/device-mapper/verity.rst, cryptsetup's lib/verity.

The lowest level alone is a 128th of the image and all others are made of it.  So a child's tree is the
parent's digests, those of the changed blocks, and a hundredth of the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from typing import Protocol
from uuid import UUID

from netboot.errors import InvalidInput
from netboot.images.blocks import PIECE_BYTES, Advance, Source, Target, unheard
from netboot.images.ranges import Ranges, pieces
from netboot.model.image import Digest

BLOCK_BYTES = 4096
DIGEST_BYTES = 32
FANOUT = BLOCK_BYTES // DIGEST_BYTES
MAX_SALT_BYTES = 256

# Signature, version, hash type, UUID, algorithm, data and hash block size, data blocks, salt's size, salt.
_SUPERBLOCK = Struct("<8sII16s32sIIQH6x256s168x")
_SIGNATURE, _VERSION, _HASH_TYPE, _ALGORITHM = b"verity\0\0", 1, 1, b"sha256".ljust(32, b"\0")
_MAX_BLOCKS = 1 << 48


class VerityError(InvalidInput):
    """A hash tree that is none, or that does not belong to its image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superblock:
    """What a hash tree says about itself."""

    data_blocks: int
    salt: bytes
    uuid: UUID

    def encode(self) -> bytes:
        sizes = (BLOCK_BYTES, BLOCK_BYTES, self.data_blocks, len(self.salt))
        return _SUPERBLOCK.pack(_SIGNATURE, _VERSION, _HASH_TYPE, self.uuid.bytes, _ALGORITHM, *sizes, self.salt)


@dataclass(frozen=True, slots=True)
class Level:
    """Consecutive blocks of a tree's file."""

    first: int
    blocks: int


class Part(StrEnum):
    DATA = "data"
    TREE = "tree"


@dataclass(frozen=True, slots=True)
class Damage:
    """The first block that is not what the root hash says: of the image, or of the tree's file."""

    part: Part
    block: int


def levels(data_blocks: int) -> tuple[Level, ...]:
    """The tree over so many blocks, from the bottom up; no level at all over a single block, whose hash is the root."""
    counts = []
    while data_blocks > 1:
        data_blocks = -(-data_blocks // FANOUT)
        counts.append(data_blocks)
    firsts = [1 + sum(counts[number + 1 :]) for number in range(len(counts))]
    return tuple(map(Level, firsts, counts))


def read_superblock(tree: Source) -> Superblock:
    """`VerityError` unless it is of the one kind that is written here, and all of the tree is there."""
    signature, version, hash_type, uuid, algorithm, data_size, hash_size, blocks, salt_size, salt = _SUPERBLOCK.unpack(
        tree.read(0, _SUPERBLOCK.size)
    )
    if (signature, version) != (_SIGNATURE, _VERSION):
        raise VerityError("this is no hash tree: it does not begin with verity's signature")
    if (hash_type, algorithm, data_size, hash_size) != (_HASH_TYPE, _ALGORITHM, BLOCK_BYTES, BLOCK_BYTES):
        raise VerityError("the hash tree is not of format 1 with SHA-256 and blocks of 4096 bytes")
    if not 0 < blocks < _MAX_BLOCKS or salt_size > MAX_SALT_BYTES or any(salt[salt_size:]):
        raise VerityError("the hash tree's superblock is damaged")
    if tree.size_bytes < tree_bytes(blocks):
        raise VerityError(f"the hash tree is cut off: {tree.size_bytes} bytes of {tree_bytes(blocks)}")
    return Superblock(data_blocks=blocks, salt=salt[:salt_size], uuid=UUID(bytes=uuid))


def tree_bytes(data_blocks: int) -> int:
    """The size of a tree's file."""
    return (1 + sum(level.blocks for level in levels(data_blocks))) * BLOCK_BYTES


def build(data: Source, tree: Target, *, salt: bytes, uuid: UUID, advance: Advance = unheard) -> Digest:
    """Write the tree over `data` to `tree`, which is emptied first; the root hash."""
    superblock = _superblock_for(data, salt, uuid)
    return _write(tree, superblock, _digests(data, superblock, advance))


def update(
    data: Source, tree: Target, *, parent: Source, root: Digest, changes: Ranges, uuid: UUID, advance: Advance = unheard
) -> Digest:
    """As `build`, with the parent's salt, reading nothing of `data` but `changes`: at least all that differs.

    `parent` is the tree over the parent and `root` its root hash; `VerityError` if they do not belong together.
    """
    before = read_superblock(parent)
    if check_tree(parent, root) is not None:
        raise VerityError(f"the parent's hash tree is not that of root hash {root.hex}")
    superblock = _superblock_for(data, before.salt, uuid)
    return _write(tree, superblock, _updated(data, superblock, parent, before, changes, advance))


def root_of(data: Source, *, salt: bytes, advance: Advance = unheard) -> Digest:
    """The root hash of `data`; the tree is not kept."""
    superblock = _superblock_for(data, salt, UUID(int=0))
    return _Climb(superblock, None).root(_digests(data, superblock, advance))


def verify(data: Source, tree: Source, root: Digest, *, advance: Advance = unheard) -> Damage | None:
    """Read all of an image and its tree, and tell the first block that is not what `root` says.

    The tree comes first, from the top: below a damaged part of it nothing can be said.
    """
    superblock = read_superblock(tree)
    if superblock != _superblock_for(data, superblock.salt, superblock.uuid):
        raise VerityError(f"the hash tree is over {superblock.data_blocks} blocks, the image has another size")
    if (bad := check_tree(tree, root)) is not None:
        return Damage(Part.TREE, bad)
    at = 0
    for digests in _digests(data, superblock, advance):
        known = _known(tree, superblock, root, at, len(digests) // DIGEST_BYTES)
        if digests != known:
            return Damage(Part.DATA, at + _first_difference(digests, known))
        at += len(digests) // DIGEST_BYTES
    return None


def check_tree(tree: Source, root: Digest) -> int | None:
    """The first block of the tree's file, from the top down, that is not what `root` says; None if all are."""
    superblock = read_superblock(tree)
    above: Level | None = None
    for level in reversed(levels(superblock.data_blocks)):
        for start, stop in pieces(0, level.blocks, FANOUT):
            blocks = tree.read((level.first + start) * BLOCK_BYTES, (stop - start) * BLOCK_BYTES)
            found = _hashes(blocks, superblock.salt)
            known = bytes.fromhex(root.hex) if above is None else _row(tree, above, start, stop - start)
            if found != known:
                return level.first + start + _first_difference(found, known)
        above = level
    return None


def check_block(block: bytes, number: int, tree: Source, root: Digest) -> bool:
    """Whether `block` is block `number` of the image, by the few hash blocks between it and `root`."""
    superblock = read_superblock(tree)
    if len(block) != BLOCK_BYTES or not 0 <= number < superblock.data_blocks:
        return False
    for level in levels(superblock.data_blocks):
        number, place = divmod(number, FANOUT)
        parent = tree.read((level.first + number) * BLOCK_BYTES, BLOCK_BYTES)
        if _hashes(block, superblock.salt) != parent[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]:
            return False
        block = parent
    return _hashes(block, superblock.salt).hex() == root.hex


def _superblock_for(data: Source, salt: bytes, uuid: UUID) -> Superblock:
    blocks, rest = divmod(data.size_bytes, BLOCK_BYTES)
    if rest or not blocks:
        raise VerityError(f"an image of {data.size_bytes} bytes is not made of blocks of {BLOCK_BYTES}")
    if len(salt) > MAX_SALT_BYTES:
        raise VerityError(f"a salt has at most {MAX_SALT_BYTES} bytes, not {len(salt)}")
    return Superblock(data_blocks=blocks, salt=salt, uuid=uuid)


def _write(tree: Target, superblock: Superblock, digests: Iterator[bytes]) -> Digest:
    tree.resize(0)
    tree.write(0, superblock.encode())
    tree.resize(tree_bytes(superblock.data_blocks))
    return _Climb(superblock, tree).root(digests)


class _Sink(Protocol):
    def write(self, offset: int, data: bytes) -> None: ...


class _Climb:
    """Takes the digests of the image's blocks in order, and makes and writes all levels at once.

    It keeps no more of a level than what is not yet a whole block.
    """

    def __init__(self, superblock: Superblock, tree: _Sink | None) -> None:
        self._salt = superblock.salt
        self._tree = tree
        self._next = [level.first for level in levels(superblock.data_blocks)]
        self._rows = [bytearray() for _ in (*self._next, "root")]

    def root(self, digests: Iterator[bytes]) -> Digest:
        for each in digests:
            self._add(0, each)
        for level in range(len(self._next)):
            row = self._rows[level]
            row.extend(bytes(-len(row) % BLOCK_BYTES))
            self._raise(level)
        return Digest(self._rows[-1].hex())

    def _add(self, level: int, digests: bytes) -> None:
        self._rows[level] += digests
        if level < len(self._next) and len(self._rows[level]) >= BLOCK_BYTES:
            self._raise(level)

    def _raise(self, level: int) -> None:
        """Write the whole blocks of a level; their hashes go to the one above."""
        row = self._rows[level]
        blocks = bytes(row[: len(row) // BLOCK_BYTES * BLOCK_BYTES])
        del row[: len(blocks)]
        if self._tree is not None and blocks:
            self._tree.write(self._next[level] * BLOCK_BYTES, blocks)
        self._next[level] += len(blocks) // BLOCK_BYTES
        self._add(level + 1, _hashes(blocks, self._salt))


def _digests(data: Source, superblock: Superblock, advance: Advance) -> Iterator[bytes]:
    """Those of all blocks, in order, some at once; holes are not read."""
    return _digests_between(data, 0, superblock.data_blocks * BLOCK_BYTES, superblock.salt, advance)


def _digests_between(data: Source, start: int, stop: int, salt: bytes, advance: Advance) -> Iterator[bytes]:
    of_zeros = _hashes(bytes(BLOCK_BYTES), salt)
    there = Ranges.of(data.data(start, stop)).aligned(BLOCK_BYTES)
    at = start
    for first, last in (*there.spans, (stop, stop)):
        for begin, end in pieces(at, first, PIECE_BYTES):
            yield of_zeros * ((end - begin) // BLOCK_BYTES)
            advance(end - begin)
        for begin, end in pieces(first, last, PIECE_BYTES):
            yield _hashes(data.read(begin, end - begin), salt)
            advance(end - begin)
        at = last


def _updated(
    data: Source, superblock: Superblock, parent: Source, before: Superblock, changes: Ranges, advance: Advance
) -> Iterator[bytes]:
    """The digests of changed blocks from `data`, all others from the parent's tree."""
    stop = superblock.data_blocks * BLOCK_BYTES
    # A tree over one block has no digests in it, and blocks behind the parent's end are in no tree.
    known = before.data_blocks * BLOCK_BYTES if before.data_blocks > 1 else 0
    fresh = (changes | Ranges.of([(known, stop)])).aligned(BLOCK_BYTES) & Ranges.of([(0, stop)])
    at = 0
    for first, last in (*fresh.spans, (stop, stop)):
        for begin, end in pieces(at, first, PIECE_BYTES * FANOUT):
            yield _row(parent, levels(before.data_blocks)[0], begin // BLOCK_BYTES, (end - begin) // BLOCK_BYTES)
        yield from _digests_between(data, first, last, superblock.salt, advance)
        at = last


def _known(tree: Source, superblock: Superblock, root: Digest, first: int, count: int) -> bytes:
    """What the tree says about some of the image's blocks."""
    lowest = levels(superblock.data_blocks)[:1]
    return _row(tree, lowest[0], first, count) if lowest else bytes.fromhex(root.hex)


def _row(tree: Source, level: Level, first: int, count: int) -> bytes:
    """Digests of one level, by their numbers in it."""
    return tree.read(level.first * BLOCK_BYTES + first * DIGEST_BYTES, count * DIGEST_BYTES)


def _hashes(blocks: bytes, salt: bytes) -> bytes:
    return b"".join(
        [sha256(salt + blocks[at : at + BLOCK_BYTES]).digest() for at in range(0, len(blocks), BLOCK_BYTES)]
    )


def _first_difference(found: bytes, known: bytes) -> int:
    sizes = range(0, len(found), DIGEST_BYTES)
    return next(at for at in sizes if found[at : at + DIGEST_BYTES] != known[at : at + DIGEST_BYTES]) // DIGEST_BYTES
