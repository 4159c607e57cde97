from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from netboot.images.cow import open_cow, write_cow
from netboot.images.delta import Overlay, apply, make
from netboot.system import sparse
from netboot.system.sparse import SparseFile

MIB = 1 << 20


def test_holes_are_known_and_read_as_zeros(tmp_path: Path) -> None:
    with SparseFile.open(tmp_path / "image", create=True) as image:
        image.resize(8 * MIB)
        image.write(2 * MIB, b"x" * MIB)
        image.write(5 * MIB, b"y" * 10)
        assert list(image.data(0, 8 * MIB)) == [(2 * MIB, 3 * MIB), (5 * MIB, 5 * MIB + 4096)]
        assert list(image.data(2 * MIB + 5, 5 * MIB + 7)) == [(2 * MIB + 5, 3 * MIB), (5 * MIB, 5 * MIB + 7)]
        assert image.read(MIB, 2 * MIB) == bytes(MIB) + b"x" * MIB
        assert image.read(5 * MIB + 8, 4) == b"yy\0\0"


def test_behind_the_end_are_zeros(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"tail")
    with SparseFile.open(tmp_path / "image") as image:
        assert image.size_bytes == 4
        assert image.read(2, 4) == b"il\0\0"
        assert image.read(100, 2) == b"\0\0"
        assert list(image.data(50, 100)) == []


def test_a_punched_hole_takes_no_room(tmp_path: Path) -> None:
    with SparseFile.open(tmp_path / "image", create=True) as image:
        image.write(0, b"x" * MIB)
        image.zero(4096, MIB)  # longer than the file, which keeps its size
        image.zero(2 * MIB, MIB)
        image.sync()
        assert image.size_bytes == MIB
        assert image.read(0, 8192) == b"x" * 4096 + bytes(4096)
        assert list(image.data(0, MIB)) == [(0, 4096)]
    assert (tmp_path / "image").stat().st_blocks == 8


def test_where_no_hole_can_be_punched_zeros_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> int:
        ctypes.set_errno(errno.EOPNOTSUPP)
        return -1

    monkeypatch.setattr(sparse._libc, "fallocate", refuse)
    with SparseFile.open(tmp_path / "image", create=True) as image:
        image.write(0, b"x" * 3 * MIB)
        image.zero(10, 2 * MIB)
        assert image.read(0, 3 * MIB) == b"x" * 10 + bytes(2 * MIB) + b"x" * (MIB - 10)


def test_another_failure_is_the_systems_own(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"x" * 10)
    with SparseFile.open(tmp_path / "image") as image, pytest.raises(OSError, match="Bad file descriptor"):
        image.zero(0, 10)


def test_a_new_file_must_be_new(tmp_path: Path) -> None:
    (tmp_path / "image").touch()
    with pytest.raises(FileExistsError):
        SparseFile.open(tmp_path / "image", create=True)


def test_the_file_is_closed(tmp_path: Path) -> None:
    with SparseFile.open(tmp_path / "image", create=True) as image:
        descriptor = image._descriptor
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_delta_of_files_applied_to_a_file(tmp_path: Path) -> None:
    """Two images of 64 MiB with holes, through files alone, with holes where they belong."""
    with (
        SparseFile.open(tmp_path / "old", create=True) as old,
        SparseFile.open(tmp_path / "new", create=True) as new,
        SparseFile.open(tmp_path / "delta", create=True) as stored,
    ):
        for image in (old, new):
            image.resize(64 * MIB)
            image.write(MIB, b"both" * (MIB // 4))
        old.write(8 * MIB, b"x" * MIB)
        new.write(16 * MIB, b"y" * MIB)
        result = write_cow(stored, make(old, new))
        assert result.records == 512
        assert os.fstat(stored._descriptor).st_blocks * 512 == result.stored_bytes == MIB + 3 * 4096
        wanted = new.read(0, 64 * MIB)
        assert Overlay(old, open_cow(stored), 64 * MIB).read(0, 64 * MIB) == wanted
        apply(open_cow(stored), old, size_bytes=64 * MIB)
        assert old.read(0, 64 * MIB) == wanted
        assert list(old.data(0, 64 * MIB)) == [(MIB, 2 * MIB), (16 * MIB, 17 * MIB)]
