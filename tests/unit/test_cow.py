"""The format as the kernel's source has it, written here by hand, and what is refused."""

from __future__ import annotations

import struct

import pytest

from netboot.images.blocks import Patch
from netboot.images.cow import Cow, CowError, Run, open_cow, write_cow
from tests.blocks_kit import Memory

# The smallest chunk: one sector, so an area has 32 records.
CHUNK = 512
A, B, C = b"a" * CHUNK, b"b" * CHUNK, b"c" * CHUNK
ZEROS = bytes(CHUNK)


def header(magic: bytes = b"SnAp", valid: int = 1, version: int = 1, sectors: int = 1) -> bytes:
    return (magic + struct.pack("<III", valid, version, sectors)).ljust(CHUNK, b"\0")


def area(*records: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<QQ", *each) for each in records).ljust(CHUNK, b"\0")


def written(*patches: tuple[int, bytes], chunk_bytes: int = CHUNK) -> bytes:
    target = Memory(b"left over from before")
    write_cow(target, [Patch(old * chunk_bytes, data) for old, data in patches], chunk_bytes=chunk_bytes)
    return bytes(target.content)


def records(cow: Cow) -> list[tuple[int, int]]:
    return list(zip(cow.olds, cow.news, strict=True))


def test_three_changed_chunks_byte_by_byte() -> None:
    assert written((5, A + B), (9, C)) == header() + area((5, 2), (6, 3), (9, 4)) + A + B + C


def test_the_bytes_of_chunks_of_4_kib() -> None:
    content = b"x" * 4096
    by_hand = bytes.fromhex("536e4170 01000000 01000000 08000000").ljust(4096, b"\0")
    by_hand += bytes.fromhex("0700000000000000 0200000000000000").ljust(4096, b"\0")
    assert written((7, content), chunk_bytes=4096) == by_hand + content


def test_nothing_changed_is_a_header_and_an_empty_area() -> None:
    assert written() == header() + ZEROS


def test_behind_a_full_area_comes_an_empty_one() -> None:
    """Without it the kernel refuses: attempt to access beyond end of device."""
    expected = header() + area(*((old, 2 + old) for old in range(32))) + A * 32 + ZEROS
    assert written((0, A * 32)) == expected


def test_the_second_area_follows_the_content_of_the_first() -> None:
    expected = header() + area(*((old, 2 + old) for old in range(32))) + A * 32 + area((32, 35)) + B
    assert written((0, A * 32 + B)) == expected


def test_zeros_are_changed_chunks_that_take_no_room() -> None:
    target = Memory()
    result = write_cow(target, [Patch(0, A + ZEROS + B), Patch(7 * CHUNK, ZEROS)], chunk_bytes=CHUNK)
    assert target.content == header() + area((0, 2), (1, 3), (2, 4), (7, 5)) + A + ZEROS + B + ZEROS
    assert target.written_bytes == 16 + 3 * CHUNK
    assert (result.records, result.changed_bytes, result.size_bytes) == (4, 4 * CHUNK, 6 * CHUNK)
    assert result.stored_bytes == 4 * CHUNK


@pytest.mark.parametrize(
    "patches",
    [[(3, A), (2, A)], [(3, A), (3, B)], [(3, A + B), (4, C)], [(0, b"short")]],
    ids=["descending", "twice", "overlapping", "part of a chunk"],
)
def test_a_writer_takes_only_whole_chunks_in_order(patches: list[tuple[int, bytes]]) -> None:
    with pytest.raises(ValueError, match="out of order or no whole chunks"):
        written(*patches)


@pytest.mark.parametrize("size", [0, 256, 1000, 2 << 20])
def test_a_writer_takes_only_sizes_that_kernels_take(size: int) -> None:
    with pytest.raises(ValueError, match="no chunks of"):
        write_cow(Memory(), [], chunk_bytes=size)


def test_what_was_written_is_read() -> None:
    cow = open_cow(Memory(written((5, A + B), (9, C), (100, A * 40))))
    assert cow.chunk_bytes == CHUNK
    assert cow.changed_bytes == 43 * CHUNK
    assert cow.ranges.spans == ((5 * CHUNK, 7 * CHUNK), (9 * CHUNK, 10 * CHUNK), (100 * CHUNK, 140 * CHUNK))
    assert list(cow.patches())[:2] == [(5 * CHUNK, A + B), (9 * CHUNK, C)]
    # The run of forty is cut where the area's 32 records end.
    assert list(cow.runs()) == [Run(5, 2, 2), Run(9, 4, 1), Run(100, 5, 29), Run(129, 35, 11)]
    assert list(cow.runs(6, 101)) == [Run(6, 3, 1), Run(9, 4, 1), Run(100, 5, 1)]


def test_a_kernels_records_come_in_any_order() -> None:
    cow = open_cow(Memory(header() + area((9, 4), (5, 2), (7, 3)) + A + B + C))
    assert records(cow) == [(5, 2), (7, 3), (9, 4)]
    assert [patch.data for patch in cow.patches()] == [A, B, C]


def test_a_record_may_name_content_of_a_later_area() -> None:
    """The kernel gives out chunks when writes begin and writes records when they end."""
    full = [(old, 2 + old) for old in range(31)]
    late = header() + area(*full, (40, 35)) + A * 32 + area((31, 33)) + B
    assert records(open_cow(Memory(late)))[-2:] == [(31, 33), (40, 35)]


def test_a_merge_that_was_interrupted_has_cleared_the_last_records() -> None:
    """It clears from the end, and leaves the content where it was; here one of 33, then two, then all but one."""
    first = [(old, 2 + old) for old in range(32)]
    rest = A * 32 + ZEROS + B
    assert len(open_cow(Memory(header() + area(*first) + rest))) == 32
    assert len(open_cow(Memory(header() + area(*first[:31]) + rest))) == 31
    assert len(open_cow(Memory(header() + area(*first[:1]) + rest))) == 1


def test_a_device_may_be_larger_than_its_content() -> None:
    assert records(open_cow(Memory(header() + area((5, 2)) + A + b"whatever was on the disk" * 99))) == [(5, 2)]


FULL = [(old, 2 + old) for old in range(32)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin with SnAp"),
        (bytes(8 * CHUNK), "does not begin with SnAp"),
        (b"SnAp", "of version 0 is unknown"),
        (header(magic=b"SnAP") + ZEROS, "does not begin with SnAp"),
        (header(valid=0) + ZEROS, "marked this copy-on-write device as invalid"),
        (header(valid=2) + ZEROS, "marked this copy-on-write device as invalid"),
        (header(version=2) + ZEROS, "of version 2 is unknown"),
        (header(sectors=0) + ZEROS, "chunks of 0 sectors"),
        (header(sectors=3) + ZEROS, "chunks of 3 sectors"),
        (header(sectors=4096) + ZEROS, "chunks of 4096 sectors"),
        (header(sectors=0xFFFFFFFF) + ZEROS, "chunks of 4294967295 sectors"),
        (header(), "its list of chunks has no end"),
        (header() + area(*FULL) + A * 32, "its list of chunks has no end"),
        (header() + area(*FULL) + A * 32 + bytes(100), "its list of chunks has no end"),
        (header() + area((5, 2)), "chunk 2 is missing"),
        (header() + area((5, 2)) + A[:-1], "chunk 2 is missing"),
        (header() + area((5, 1 << 63)) + A, "chunk 9223372036854775808 is missing"),
        (header() + area((1 << 60, 2)) + A, "which no image has"),
        (header() + area((5, 1)) + A, "takes part of its own list for content"),
        (header() + area(*FULL[:31], (31, 34)) + A * 32 + ZEROS, "takes part of its own list for content"),
        (header() + area((5, 2), (5, 3)) + A + B, "changes a chunk twice"),
        (header() + area((5, 2), (6, 2)) + A + B, "uses a chunk twice"),
        (header() + area((5, 2), (0, 0), (6, 3)) + A + B, "records behind the end of its list"),
        (header() + area((5, 2), (6, 0)) + A + B, "records behind the end of its list"),
    ],
)
def test_what_is_refused_and_why(content: bytes, reason: str) -> None:
    with pytest.raises(CowError, match=reason):
        open_cow(Memory(content))


def test_only_header_and_records_are_read() -> None:
    source = Memory(written((0, A * 100)))
    open_cow(source)
    assert source.read_bytes == 16 + 4 * CHUNK
