"""Running the client's shell core under the shells that it meets: dash and busybox's ash.

Functions that change the machine run against programs of the same names, put first in PATH, that write down how
they were called; mounting itself is shown by the boot tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from netboot import initramfs

FOLDER = Path(initramfs.__file__).parent
CORE = FOLDER / "core.sh"
# As the frames do it.
LOAD = f"for part in {FOLDER}/*.sh; do . $part; done"
# By their paths: a test may put a stand-in named busybox first in PATH.
SHELLS = {"dash": [shutil.which("dash") or "dash"], "busybox": [shutil.which("busybox") or "busybox", "sh"]}

LINE = (
    "BOOT_IMAGE=/vmlinuz boot=netboot BOOTIF=01-52-54-00-AB-cd-01 ip=dhcp "
    "netboot.root=nfs:10.9.0.1:/srv/exports/debian/1 netboot.upper=25% "
    "systemd.hostname=lab-01 systemd.machine_id=0123456789abcdef0123456789abcdef console=ttyS0\n"
)

Sh = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=SHELLS)
def sh(request: pytest.FixtureRequest, tmp_path: Path) -> Sh:
    """Run a script with the core sourced; its folder has `cmdline`, `run/`, `sys/` and `bin/` first in PATH."""
    for name in ("run", "sys", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "cmdline").write_text(LINE)

    def run(script: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SHELLS[request.param], "-c", f"set -u; {LOAD}; {script}"],
            env={
                "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
                "NB_CMDLINE": str(tmp_path / "cmdline"),
                "NB_LIB": str(FOLDER),
                "NB_RUN": str(tmp_path / "run"),
                "NB_SYS": str(tmp_path / "sys"),
                **env,
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def program(folder: Path, name: str, body: str) -> None:
    """A stand-in for a program, which notes its call in `calls`."""
    file = folder / "bin" / name
    file.write_text(f'#!/bin/sh\necho "{name} $*" >>{folder}/calls\n{body}\n')
    file.chmod(0o755)


def calls(folder: Path) -> list[str]:
    file = folder / "calls"
    return file.read_text().splitlines() if file.exists() else []
