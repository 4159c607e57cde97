"""The tree of a child made of its parent's is the tree made anew; and one changed bit is found, where it is."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from netboot.images import verity
from netboot.images.ranges import Ranges
from netboot.model.image import Digest
from tests.blocks_kit import Memory

BLOCK = verity.BLOCK_BYTES
UUID_ = UUID(int=7)
_salts = st.binary(max_size=256)
# About where the tree gets another block, and another level.
_sizes = st.one_of(st.integers(1, 5), st.sampled_from((127, 128, 129, 256, 257)))
_blocks = st.sampled_from((bytes(BLOCK), b"a" * BLOCK, b"b" * BLOCK))


@st.composite
def images(draw: st.DrawFn) -> bytes:
    """Mostly holes: a few blocks somewhere."""
    blocks = [bytes(BLOCK)] * draw(_sizes)
    for at in draw(st.lists(st.integers(0, len(blocks) - 1), max_size=6)):
        blocks[at] = draw(_blocks)
    return b"".join(blocks)


def tree(content: bytes, salt: bytes) -> tuple[Memory, Digest]:
    target = Memory()
    root = verity.build(Memory(content, unit=BLOCK), target, salt=salt, uuid=UUID_)
    return target, root


@given(images(), images(), _salts)
def test_an_updated_tree_is_the_whole_tree(old: bytes, new: bytes, salt: bytes) -> None:
    parent, root = tree(old, salt)
    differing = [at for at in range(0, len(new), BLOCK) if old[at : at + BLOCK] != new[at : at + BLOCK]]
    changes = Ranges.of((at, at + 1) for at in differing)
    target = Memory(b"left over")
    found = verity.update(Memory(new, unit=BLOCK), target, parent=parent, root=root, changes=changes, uuid=UUID_)
    whole, expected = tree(new, salt)
    assert found == expected == verity.root_of(Memory(new), salt=salt)
    assert target.content == whole.content
    assert len(target.content) == verity.tree_bytes(len(new) // BLOCK)


@given(images(), _salts, st.data())
def test_one_flipped_bit_of_the_image_is_found_at_its_place(content: bytes, salt: bytes, data: st.DataObject) -> None:
    known, root = tree(content, salt)
    assert verity.verify(Memory(content, unit=BLOCK), known, root) is None
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = Memory(content, unit=BLOCK)
    damaged.content[at] ^= 1 << data.draw(st.integers(0, 7))
    assert verity.verify(damaged, known, root) == verity.Damage(verity.Part.DATA, at // BLOCK)
    for number in {0, at // BLOCK, len(content) // BLOCK - 1}:
        block = damaged.read(number * BLOCK, BLOCK)
        assert verity.check_block(block, number, known, root) is (number != at // BLOCK)


@given(images(), _salts, st.data())
def test_one_flipped_bit_of_the_tree_is_found_at_its_place(content: bytes, salt: bytes, data: st.DataObject) -> None:
    known, root = tree(content, salt)
    if known.size_bytes == BLOCK:
        return  # a single block, whose hash is the root: no tree
    at = data.draw(st.integers(BLOCK, known.size_bytes - 1))
    known.content[at] ^= 1 << data.draw(st.integers(0, 7))
    assert verity.verify(Memory(content), known, root) == verity.Damage(verity.Part.TREE, at // BLOCK)
