"""Whatever two versions look like: the delta turns one into the other, bit for bit, by every way to read it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from netboot.images import delta
from netboot.images.blocks import Patch, copy
from netboot.images.cow import Cow, open_cow, write_cow
from netboot.images.ranges import Ranges
from tests.blocks_kit import Memory

BLOCK = 512
# One sector has 32 records an area, so that areas are filled exactly and overrun.
CHUNKS = st.sampled_from((BLOCK, 2 * BLOCK, 8 * BLOCK))
# Few different contents, so that some blocks are equal by chance; half of them zeros.
_contents = st.sampled_from((b"\0", b"\0", b"\0", b"a", b"b", b"c"))


@dataclass(frozen=True)
class Runs:
    """An image as runs of equal blocks; shown short when a test fails."""

    runs: tuple[tuple[bytes, int], ...]

    @property
    def content(self) -> bytes:
        return b"".join(byte * BLOCK * count for byte, count in self.runs)


# Lengths about an area's 32 records.
_lengths = st.one_of(st.integers(1, 4), st.sampled_from((31, 32, 33, 64)))
images = st.lists(st.tuples(_contents, _lengths), max_size=6).map(lambda runs: Runs(tuple(runs)))


def device(patches: list[Patch], chunk_bytes: int) -> Cow:
    target = Memory()
    result = write_cow(target, patches, chunk_bytes=chunk_bytes)
    cow = open_cow(target)
    assert (len(cow), cow.chunk_bytes, target.size_bytes) == (result.records, chunk_bytes, result.size_bytes)
    assert list(cow.olds) == sorted(cow.olds)
    return cow


def between(old: bytes, new: bytes, chunk_bytes: int, changes: Ranges | None = None) -> Cow:
    return device(list(delta.make(Memory(old), Memory(new), changes=changes, chunk_bytes=chunk_bytes)), chunk_bytes)


def applied(cow: Cow, old: bytes, size_bytes: int) -> bytes:
    target = Memory(old)
    delta.apply(cow, target, size_bytes=size_bytes)
    return bytes(target.content)


@given(images, images, CHUNKS)
def test_a_delta_makes_the_new_of_the_old(old: Runs, new: Runs, chunk_bytes: int) -> None:
    a, b = old.content, new.content
    cow = between(a, b, chunk_bytes)
    assert applied(cow, a, len(b)) == b
    # Again, as after a power cut: the same.
    assert applied(cow, applied(cow, a, len(b)), len(b)) == b
    assert len(cow) <= -(-max(len(a), len(b)) // chunk_bytes)
    if a == b:
        assert len(cow) == 0


@given(images, images, CHUNKS, st.data())
def test_an_overlay_reads_as_the_new(old: Runs, new: Runs, chunk_bytes: int, data: st.DataObject) -> None:
    a, b = old.content, new.content
    overlay = delta.Overlay(Memory(a), between(a, b, chunk_bytes), len(b))
    offset = data.draw(st.integers(0, len(b) + BLOCK))
    size = data.draw(st.integers(0, len(b) + BLOCK))
    assert overlay.read(offset, size) == b[offset : offset + size].ljust(size, b"\0")
    there = Ranges.of(overlay.data(offset, offset + size))
    assert not any(any(b[start:stop]) for start, stop in there.outside(offset, min(offset + size, len(b))))
    target = Memory()
    copy(overlay, target)
    assert target.content == b


@given(images, images, CHUNKS, st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99))))
def test_knowing_more_than_the_changes_changes_nothing(
    old: Runs, new: Runs, chunk_bytes: int, more: list[tuple[int, int]]
) -> None:
    a, b = old.content, new.content
    whole = between(a, b, chunk_bytes)
    changes = whole.ranges | Ranges.of((start * BLOCK, stop * BLOCK) for start, stop in more)
    assert bytes(between(a, b, chunk_bytes, changes).source.read(0, 1 << 20)) == whole.source.read(0, 1 << 20)


@given(images, images, CHUNKS)
def test_the_way_back_is_the_delta_the_other_way(old: Runs, new: Runs, chunk_bytes: int) -> None:
    a, b = old.content, new.content
    back = list(delta.reverse(Memory(a), between(a, b, chunk_bytes), chunk_bytes=chunk_bytes))
    assert applied(device(back, chunk_bytes), b, len(a)) == a
    assert device(back, chunk_bytes).ranges == between(b, a, chunk_bytes).ranges


@given(st.lists(images, min_size=1, max_size=5), st.lists(CHUNKS, min_size=4, max_size=4))
def test_a_chain_joined_is_the_direct_delta(versions: list[Runs], sizes: list[int]) -> None:
    contents = [each.content for each in versions]
    first, last = contents[0], contents[-1]
    cows = [between(a, b, size) for a, b, size in zip(contents, contents[1:], sizes, strict=False)]
    least = min((cow.chunk_bytes for cow in cows), default=BLOCK)
    joined = device(list(delta.compose(cows, chunk_bytes=least)), least)
    assert applied(joined, first, len(last)) == last
    direct = between(first, last, least)
    assert joined.ranges.covers(direct.ranges)
    base = Memory(first)
    later = delta.stack(base, cows, len(last))
    assert later.size_bytes == len(last)
    pruned = list(delta.make(base, later, changes=delta.changes_of(cows), chunk_bytes=least))
    assert device(pruned, least).source.read(0, 1 << 20) == direct.source.read(0, 1 << 20)
