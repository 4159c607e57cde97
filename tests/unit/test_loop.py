from __future__ import annotations

import struct
from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.system.loop import attached, find_loop, loop_config


def test_the_kernels_structure_has_its_size_and_fields_at_their_places() -> None:
    # <linux/loop.h>: u32 fd, u32 block_size, struct loop_info64 (232 bytes), u64 reserved[8].
    packed = loop_config(7, "/images/root.ext4")
    assert len(packed) == 4 + 4 + 232 + 64
    assert struct.unpack_from("=I", packed, 0) == (7,)
    # In loop_info64 five u64 and three u32 stand before lo_flags, and the file's name follows it.
    assert struct.unpack_from("=I", packed, 8 + 40 + 12) == (1 | 4,)
    assert packed[8 + 56 : 8 + 56 + 64].rstrip(b"\0") == b"/images/root.ext4"


def test_a_long_name_is_cut_and_stays_terminated() -> None:
    packed = loop_config(7, "/" + "x" * 200)
    assert packed[8 + 56 + 63] == 0
    assert len(packed) == 304


def test_a_file_that_is_no_device_has_none(tmp_path: Path) -> None:
    assert find_loop(tmp_path / "root.ext4") is None


def test_a_missing_file_is_named_with_a_way_to_look(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable, match=r"root\.ext4 cannot be opened: No such file") as caught,
        attached(tmp_path / "root.ext4"),
    ):
        pass
    assert caught.value.hint == f"look at it: ls -l {tmp_path / 'root.ext4'}"
