"""Where the file system can share blocks between files, a root that is made shares those that are its ancestor's.

So does a client's own disk, with its version.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import cannot_run

SCRIPT = Path(__file__).parent / "store_on_reflinks.py"
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("filesystem", ["btrfs", "xfs"])
def test_a_root_takes_what_changed_and_no_more(tmp_path: Path, filesystem: str) -> None:
    if f"\t{filesystem}\n" not in Path("/proc/filesystems").read_text() or not shutil.which(f"mkfs.{filesystem}"):
        cannot_run(f"no {filesystem} here")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, SCRIPT, tmp_path, filesystem],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["damage"] == []
    assert found["root"] >= 40 << 20
    # 25 blocks, the hash tree of a 128th, and what the file system writes down about them; a copy would be 40 MiB.
    assert found["taken"] < 4 << 20
    assert found["own disk"] is True
    assert found["taken by it"] < 1 << 20
