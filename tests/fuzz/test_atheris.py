"""A short run of `make fuzz`: the same inputs every time, steered by the paths they take through our code."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.captures.files import captures
from tests.fuzz.__main__ import ROOT, Bounds, command, write_seeds
from tests.fuzz.targets import TARGETS

__all__ = ["captures"]

RUNS = {
    **dict.fromkeys(("dhcp-message", "dhcp-exchange", "tftp-packet", "tftp-name"), 60_000),
    **dict.fromkeys(("cow-device", "hash-tree"), 30_000),
    "http-request": 20_000,
}


def run(function: str, target: str, folder: Path, runs: int) -> subprocess.CompletedProcess[str]:
    given = write_seeds(target, folder / "seeds")
    argv = command(function, Bounds(runs), kept=folder, given=given)
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, errors="replace", timeout=110)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.usefixtures("captures")
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    function = TARGETS[target]
    ran = run(f"{function.__module__}:{function.__name__}", target, tmp_path, RUNS[target])
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    assert f"Done {RUNS[target]} runs" in ran.stderr
    # Were our code not watched, no input would count as new.
    added = re.search(r"new_units_added: +(\d+)", ran.stderr)
    assert added
    assert int(added[1]) > 5


def finds_a_renewal(data: bytes) -> None:
    """A target with a fault, which one of the seeds shows."""
    from netboot.dhcp.message import DecodeError, decode

    try:
        message = decode(data)
    except DecodeError:
        return
    if message.xid == 0x9B4E0557:
        raise KeyError(message.xid)


@pytest.mark.usefixtures("captures")
def test_a_fault_is_found_and_its_input_is_kept(tmp_path: Path) -> None:
    ran = run(f"{__name__}:{finds_a_renewal.__name__}", "dhcp-message", tmp_path, 1000)
    assert ran.returncode != 0
    assert "KeyError" in ran.stdout
    (kept,) = tmp_path.glob("crash-*")
    with pytest.raises(KeyError):
        finds_a_renewal(kept.read_bytes())
