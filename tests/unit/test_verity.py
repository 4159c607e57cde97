from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import pytest

from netboot.images import verity
from netboot.images.ranges import Ranges
from netboot.model.image import Digest
from tests.blocks_kit import Memory

BLOCK = 4096
SALT = bytes(range(32))
UUID_ = UUID("01234567-89ab-cdef-0123-456789abcdef")


def salted(block: bytes) -> bytes:
    return sha256(SALT + block).digest()


def built(content: bytes) -> tuple[Memory, Digest]:
    tree = Memory()
    return tree, verity.build(Memory(content, unit=BLOCK), tree, salt=SALT, uuid=UUID_)


def test_the_tree_over_130_blocks_by_hand() -> None:
    blocks = [bytes((number,)) * BLOCK for number in range(130)]
    low = [
        b"".join(map(salted, blocks[:128])),
        b"".join(map(salted, blocks[128:])).ljust(BLOCK, b"\0"),
    ]
    top = (salted(low[0]) + salted(low[1])).ljust(BLOCK, b"\0")
    superblock = (
        b"verity\0\0"
        + bytes.fromhex("01000000 01000000 0123456789abcdef0123456789abcdef")
        + b"sha256".ljust(32, b"\0")
        + bytes.fromhex("00100000 00100000 8200000000000000 2000 000000000000")
        + SALT
    ).ljust(BLOCK, b"\0")
    tree, root = built(b"".join(blocks))
    assert tree.content == superblock + top + low[0] + low[1]
    assert root.hex == salted(top).hex()


def test_the_hash_of_a_single_block_is_the_root() -> None:
    tree, root = built(b"x" * BLOCK)
    assert root.hex == salted(b"x" * BLOCK).hex()
    assert tree.size_bytes == BLOCK


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (1, []),
        (2, [(1, 1)]),
        (128, [(1, 1)]),
        (129, [(2, 2), (1, 1)]),
        (128 * 128, [(2, 128), (1, 1)]),
        (128 * 128 + 1, [(4, 129), (2, 2), (1, 1)]),
    ],
)
def test_levels_lie_from_the_top_down(blocks: int, expected: list[tuple[int, int]]) -> None:
    assert [(level.first, level.blocks) for level in verity.levels(blocks)] == expected


def test_an_update_reads_the_changes_alone() -> None:
    content = b"a" * BLOCK * 1000
    parent, root = built(content)
    changed = content[: 700 * BLOCK] + b"b" * BLOCK + content[701 * BLOCK :]
    data, tree = Memory(changed, unit=BLOCK), Memory()
    changes = Ranges.of([(700 * BLOCK + 5, 700 * BLOCK + 6)])
    assert verity.update(data, tree, parent=parent, root=root, changes=changes, uuid=UUID_) == built(changed)[1]
    assert data.read_bytes == BLOCK


def test_an_update_of_a_damaged_tree_is_refused() -> None:
    parent, root = built(b"a" * BLOCK * 300)
    parent.content[-1] ^= 1
    with pytest.raises(verity.VerityError, match="not that of root hash"):
        verity.update(Memory(bytes(BLOCK)), Memory(), parent=parent, root=root, changes=Ranges(), uuid=UUID_)


def test_holes_are_not_read() -> None:
    data = Memory(b"a" * BLOCK + bytes(BLOCK * 999), unit=BLOCK)
    told: list[int] = []
    verity.build(data, Memory(), salt=SALT, uuid=UUID_, advance=told.append)
    assert data.read_bytes == BLOCK
    assert sum(told) == 1000 * BLOCK


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK + 512])
def test_an_image_of_no_whole_blocks_has_no_tree(size: int) -> None:
    with pytest.raises(verity.VerityError, match=f"image of {size} bytes"):
        built(bytes(size))


def test_a_tree_over_another_image_is_refused() -> None:
    tree, root = built(b"a" * BLOCK * 4)
    with pytest.raises(verity.VerityError, match="over 4 blocks"):
        verity.verify(Memory(b"a" * BLOCK * 5), tree, root)


def test_a_root_hash_of_something_else_condemns_the_topmost_block() -> None:
    tree, _ = built(b"a" * BLOCK * 300)
    assert verity.check_tree(tree, Digest("0" * 64)) == 1


@pytest.mark.parametrize(
    ("at", "put", "reason"),
    [
        (0, b"V", "does not begin with verity's signature"),
        (8, b"\2", "does not begin with verity's signature"),
        (12, b"\0", "not of format 1"),
        (32, b"sha512", "not of format 1"),
        (64, b"\0\2", "not of format 1"),
        (68, b"\0\2", "not of format 1"),
        (72, bytes(8), "superblock is damaged"),
        (72, b"\xff" * 8, "superblock is damaged"),
        (80, b"\1\1", "superblock is damaged"),
        (80, b"\1\0", "superblock is damaged"),
    ],
)
def test_what_is_no_tree_is_refused(at: int, put: bytes, reason: str) -> None:
    tree, _ = built(b"a" * BLOCK * 300)
    tree.content[at : at + len(put)] = put
    with pytest.raises(verity.VerityError, match=reason):
        verity.read_superblock(tree)


def test_a_tree_that_is_cut_off_is_refused() -> None:
    tree, _ = built(b"a" * BLOCK * 300)
    tree.resize(4 * BLOCK)
    with pytest.raises(verity.VerityError, match="cut off: 16384 bytes of 20480"):
        verity.read_superblock(tree)


def test_a_block_behind_the_end_is_none_of_the_image() -> None:
    tree, root = built(b"a" * BLOCK * 3)
    assert verity.check_block(b"a" * BLOCK, 2, tree, root)
    assert not verity.check_block(b"a" * BLOCK, 3, tree, root)
    assert not verity.check_block(b"a" * BLOCK, -1, tree, root)
    assert not verity.check_block(b"a", 2, tree, root)
