"""Caches of a system that know the times of what they were made from.

Once times were set back they no longer fit, and every client would make them anew at each boot, for the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netboot.system.beneath import exists_beneath
from netboot.system.sandbox import run_in

# A program of the system, and how it is told to make its cache.
_MADE_BY: Mapping[str, tuple[str, ...]] = {
    "usr/bin/fc-cache": ("fc-cache", "--force", "--system-only"),
}


def renew_caches(tree: Path, *, date: int) -> None:
    """Make the caches of the system anew, where it has their programs; `date` (Unix seconds) stands for now.

    A program that cannot do it leaves clients to do it for themselves, which is no reason to have no version.
    """
    for program, argv in _MADE_BY.items():
        if exists_beneath(tree, program):
            run_in(tree, ["env", f"SOURCE_DATE_EPOCH={date}", *argv], timeout_s=300, check=False)
