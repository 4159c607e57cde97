from __future__ import annotations

from pathlib import Path

from bench.deltas import WAYS, Outcome, apply, make, table
from netboot.system.sparse import SparseFile

MIB = 1 << 20


def test_our_way_makes_the_new_image_of_the_old(tmp_path: Path) -> None:
    old, new, change = (tmp_path / name for name in ("old", "new", "change"))
    for file, byte, size in ((old, b"a", 2 * MIB), (new, b"b", 3 * MIB)):
        with SparseFile.open(file, create=True) as image:
            image.resize(size)
            image.write(MIB, byte * 100)
    make(32768, old, new, change)
    apply(3 * MIB, change, old)
    assert old.read_bytes() == new.read_bytes()


def test_the_table_has_medians_of_each_way() -> None:
    rounds = [Outcome(MIB, MIB // 2, float(number), 1.0, 2.5, 64 * MIB) for number in (1, 2, 100)]
    told = table({way.name: rounds for way in WAYS})
    assert told.splitlines()[2] == "| netboot, 4 KiB | 1.0 MiB | 0.5 MiB | 2.00 s | 1.00 s | 2.50 s | 64.0 MiB |"
    assert all(way.name in told for way in WAYS)
