from __future__ import annotations

import pytest

from netboot.images import delta
from netboot.images.blocks import Patch, copy
from netboot.images.cow import Cow, CowError, open_cow, write_cow
from netboot.images.ranges import Ranges
from tests.blocks_kit import Memory

CHUNK = 4096
A, B, C, ZEROS = (each * CHUNK for each in (b"a", b"b", b"c", b"\0"))


def made(old: bytes, new: bytes, *, chunk_bytes: int = CHUNK) -> Cow:
    target = Memory()
    write_cow(target, delta.make(Memory(old), Memory(new), chunk_bytes=chunk_bytes), chunk_bytes=chunk_bytes)
    return open_cow(target)


def test_only_chunks_that_differ_are_in_it() -> None:
    assert list(delta.make(Memory(A + B + C + A), Memory(A + C + B + A))) == [Patch(CHUNK, C + B)]


def test_only_what_may_have_changed_is_read() -> None:
    old, new = Memory(A * 1000), Memory(A * 500 + B + A * 499)
    changes = Ranges.of([(500 * CHUNK + 7, 500 * CHUNK + 8), (800 * CHUNK, 801 * CHUNK)])
    assert list(delta.make(old, new, changes=changes)) == [Patch(500 * CHUNK, B)]
    assert old.read_bytes == new.read_bytes == 2 * CHUNK


def test_holes_of_both_are_not_read() -> None:
    old, new = Memory(A + ZEROS * 1000, unit=CHUNK), Memory(ZEROS * 1000 + B, unit=CHUNK)
    assert [patch.offset for patch in delta.make(old, new)] == [0, 1000 * CHUNK]
    assert new.read_bytes == 2 * CHUNK


def test_who_watches_is_told_all_that_was_looked_at() -> None:
    told: list[int] = []
    list(delta.make(Memory(A * 600), Memory(B * 600), advance=told.append))
    assert sum(told) == 600 * CHUNK
    assert len(told) == 3


def test_a_chunk_that_became_zeros_becomes_a_hole() -> None:
    target = Memory(A + B + C)
    applied = delta.apply(made(A + B + C, A + ZEROS + C), target, size_bytes=3 * CHUNK)
    assert (applied.written_bytes, applied.zeroed_bytes) == (0, CHUNK)
    assert target.written_bytes == 0
    assert target.content == A + ZEROS + C


def test_only_what_changed_is_written() -> None:
    target = Memory(A * 500)
    delta.apply(made(A * 500, A * 200 + B + A * 299), target, size_bytes=500 * CHUNK)
    assert target.written_bytes == CHUNK


def test_chunks_behind_the_end_of_a_smaller_version_are_zeros() -> None:
    """So that versions after it, which are larger again, find nothing of the larger one before it."""
    larger, smaller, larger_again = A + B + C, A, A + ZEROS + B
    cows = [made(larger, smaller), made(smaller, larger_again)]
    target = Memory()
    write_cow(target, delta.compose(cows))
    again = Memory(larger)
    delta.apply(open_cow(target), again, size_bytes=3 * CHUNK)
    assert again.content == larger_again


def test_a_delta_for_a_larger_image_is_refused() -> None:
    with pytest.raises(CowError, match="larger than 4096 bytes"):
        delta.apply(made(A, A + B), Memory(A), size_bytes=CHUNK)


def test_an_image_may_end_within_a_chunk() -> None:
    old, new = A * 9, A * 8 + B + C
    cow = made(old, new, chunk_bytes=8 * CHUNK)
    target = Memory(old)
    delta.apply(cow, target, size_bytes=len(new))
    assert target.content == new
    assert cow.changed_bytes == 8 * CHUNK


def test_small_chunks_can_be_made_of_large_ones_and_not_the_other_way() -> None:
    small, large = made(A * 16, A * 15 + B), made(A * 15 + B, B + A * 14 + B, chunk_bytes=8 * CHUNK)
    patches = list(delta.compose([large, small]))
    assert [(patch.offset, len(patch.data)) for patch in patches] == [(0, 8 * CHUNK), (15 * CHUNK, CHUNK)]
    with pytest.raises(CowError, match="chunks of 32768 bytes cannot be made of chunks of 4096"):
        delta.compose([large, small], chunk_bytes=8 * CHUNK)


def test_what_returned_to_its_old_content_can_be_left_out() -> None:
    there, back = made(A + A, B + B), made(B + B, A + C)
    assert [patch.data for patch in delta.compose([there, back])] == [A + C]
    base, changes = Memory(A + A), delta.changes_of([there, back])
    later = delta.stack(base, [there, back], base.size_bytes)
    assert list(delta.make(base, later, changes=changes)) == [Patch(CHUNK, C)]


def test_an_overlay_reads_its_parent_only_where_nothing_changed() -> None:
    base = Memory(A * 4)
    later = delta.Overlay(base, made(A * 4, A + B + C + A), 4 * CHUNK)
    assert later.read(CHUNK + 1, 2 * CHUNK - 1) == (B + C)[1:]
    assert base.read_bytes == 0
    assert later.read(10, 4 * CHUNK) == (A + B + C + A)[10:] + bytes(10)


def test_a_copy_has_holes_for_zeros() -> None:
    target = Memory(C * 9)
    copy(Memory(A + ZEROS + B + ZEROS + b"end"), target)
    assert target.content == A + ZEROS + B + ZEROS + b"end"
    assert target.written_bytes == 2 * CHUNK + 3
