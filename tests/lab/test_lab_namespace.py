"""Whatever happens to the lab's process, nothing of the lab is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from netboot.lab.namespace import GRACE_S
from netboot.lab.process import import_path
from netboot.system.commands import run

HOLD_LAB = Path(__file__).with_name("hold_lab.py")


def kill_the_group(process: subprocess.Popen[str]) -> None:
    """Ctrl-C on a terminal: SIGINT to every process in the foreground."""
    os.killpg(process.pid, signal.SIGINT)


ENDINGS: Mapping[str, Callable[[subprocess.Popen[str]], None]] = {
    "kill -9": subprocess.Popen.kill,
    "terminate": subprocess.Popen.terminate,
    "ctrl-c": kill_the_group,
    "interrupt of the outer process alone": lambda process: process.send_signal(signal.SIGINT),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left(ending: str, tmp_path: Path) -> None:
    image, mountpoint = tmp_path / "image", tmp_path / "mnt"
    mountpoint.mkdir()
    run(["mkfs.ext4", "-q", image, "1M"])
    argv = [sys.executable, "-m", "netboot.lab.namespace", sys.executable, str(HOLD_LAB), str(image), str(mountpoint)]
    environ = {**os.environ, "PYTHONPATH": import_path()}
    with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True) as lab:
        assert lab.stdout
        spaces = set(json.loads(lab.stdout.readline()).values())
        assert len(inhabitants(spaces)) >= 4  # our init, the script, dnsmasq, QEMU
        assert loop_devices(image)

        ENDINGS[ending](lab)
        lab.wait(GRACE_S + 10)

    wait_until(lambda: not inhabitants(spaces))
    wait_until(lambda: not loop_devices(image))
    assert str(mountpoint) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert not Path("/run/netboot-lab").exists()


def test_the_exit_status_comes_through() -> None:
    argv = [sys.executable, "-m", "netboot.lab.namespace", sys.executable, "-c", "import sys; sys.exit(7)"]
    assert subprocess.run(argv, env={**os.environ, "PYTHONPATH": import_path()}).returncode == 7


def inhabitants(spaces: set[str]) -> list[str]:
    """The processes that are in one of the namespaces."""
    return [pid.name for pid in Path("/proc").glob("[0-9]*") if spaces & spaces_of(pid)]


def spaces_of(pid: Path) -> set[str]:
    try:
        return {str((pid / "ns" / kind).readlink()) for kind in ("net", "mnt", "pid")}
    except OSError:  # it ended while we looked
        return set()


def loop_devices(image: Path) -> str:
    return run(["losetup", "-j", image]).stdout


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline, "it is still there after 10 s"
        time.sleep(0.1)
