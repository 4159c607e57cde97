"""The benchmark's own machinery, on a load so small that no figure of it means anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import place
from bench.__main__ import measure_round
from bench.rows import OURS, ROWS, Row, boot_storm
from bench.servers import FILES, make_files

pytestmark = pytest.mark.walls

ROWS_BY_KEY = {row.key: row for row in ROWS}


def test_simulated_machines_boot_from_the_real_daemon(tmp_path: Path) -> None:
    make_files(tmp_path)
    place.build()
    load = place.compile_load(tmp_path)

    def measured(row: Row) -> place.Load:
        return measure_round(row, (OURS,), load, tmp_path).load

    booted = measured(boot_storm(10))
    assert (booted.ended, booted.failed) == (10, 0)

    lossy = replace(ROWS_BY_KEY["tftp-loss"], slots=3, jobs=3)
    told = measured(lossy)
    assert (told.ended, told.failed, told.bytes) == (3, 0, 3 * FILES["small"])

    ranges = replace(ROWS_BY_KEY["http-ranges"], slots=1, jobs=1)
    assert measured(ranges).bytes == FILES["large"]
