"""What qemu-img says of a disk, as what was written to it."""

from __future__ import annotations

import json

from netboot.system.qcow import Extent, parse_map


def said(*extents: tuple[int, int, int, bool]) -> str:
    shapes = [
        {"start": s, "length": n, "depth": d, "present": True, "zero": z, "data": not z} for s, n, d, z in extents
    ]
    return json.dumps(shapes)


def test_only_what_was_written_to_the_disk_itself_counts() -> None:
    text = said((0, 64, 1, False), (64, 64, 0, False), (128, 64, 1, True))
    assert parse_map(text) == (Extent(64, 64, is_zero=False),)


def test_extents_that_touch_are_joined_unless_one_is_zero() -> None:
    text = said((0, 64, 0, False), (64, 64, 0, False), (128, 64, 0, True), (192, 64, 0, True), (512, 64, 0, True))
    assert parse_map(text) == (
        Extent(0, 128, is_zero=False),
        Extent(128, 128, is_zero=True),
        Extent(512, 64, is_zero=True),
    )


def test_what_neither_disk_has_is_not_written() -> None:
    text = json.dumps([{"start": 0, "length": 64, "depth": 0, "present": False, "zero": True, "data": False}])
    assert parse_map(text) == ()
