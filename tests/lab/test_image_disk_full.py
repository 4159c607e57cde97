"""A disk that runs full at every point of work on the store: the store is as it was, and the work can be done later."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "store_on_full_disk.py"
REPOSITORY = Path(__file__).parents[2]


def test_a_disk_that_runs_full_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, SCRIPT, tmp_path],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    found = json.loads(done.stdout)
    assert all(each["failures"] > 0 for each in found.values()), found
    assert all(each["kinds"] == each["wrong"] == [] for each in found.values()), found
