"""Long-lived children of the lab: the daemon, the neighbour's dnsmasq, QEMU.

`netboot.system.commands` runs programs that end; a `Child` runs until it is stopped, with its output in a file.
Nothing here guards against orphans: the lab's process namespace does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import netboot
from netboot.errors import Unavailable
from netboot.system.commands import PACKAGES

_STOP_S = 10.0


def import_path() -> str:
    """A PYTHONPATH with which `python -m netboot` runs this very package, installed or not, from any directory."""
    own = str(Path(netboot.__file__).parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, (own, inherited)))


def require(program: str) -> None:
    """`Unavailable` with the package to install unless `program` is on the PATH."""
    if not shutil.which(program):
        package = PACKAGES.get(program, program)
        raise Unavailable(f"the program {program} is not there", hint=f"apt-get install {package}")


@dataclass(frozen=True, slots=True)
class Child:
    """A running program; `log` holds what it prints.  Leaving the `with` stops it."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, argv: Sequence[str], *, log: Path, environ: Mapping[str, str] | None = None) -> Self:
        """Start `argv` with its output appended to `log`, and `environ` added to our own environment."""
        require(argv[0])
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                # A Ctrl-C on the terminal is for the lab, which then stops its children in its own order.
                process_group=0,
            )
        return cls(name, log, process)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def check(self) -> None:
        """`Unavailable` with the last words of the program if it has ended."""
        if not self.running:
            raise Unavailable(
                f"{self.name} ended with status {self.process.returncode}: {last_lines(self.log, 5)}",
                hint=f"its whole output is in {self.log}",
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; one that kills is waited for."""
        if self.running:
            self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait()

    def stop(self) -> int:
        """Ask it to end, then insist; its exit status, negative for a signal."""
        if self.running:
            self.process.terminate()
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def last_lines(file: Path, count: int) -> str:
    """The last lines of a file that may be missing or hold anything."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-count:])
