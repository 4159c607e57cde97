"""A `netboot` command that is watched and killed, and whether anything of it is left.

All of it happens within namespaces of our own (`within_walls`), where nobody else is: every process but ourselves
belongs to the command.  The network is the machine's, since a build fetches packages.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.cli_kit import NETBOOT, environ
from tests.soak.points import Course, Moment

# What a command started may end by itself once the command is gone: a program that writes a file system, say.
_SETTLED_S = 120.0
_STEP = re.compile(r" *\d+% {2}(.+) \(.*left\)")
_WALLS = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")


class Finding(Exception):
    """Something that should not be."""


class Manner(StrEnum):
    """Who is killed."""

    ALONE = "alone"  # the command, as the kernel does that is short of memory
    ALL = "all"  # the command and all that it started, as a service manager does


@dataclass(frozen=True, slots=True)
class Fate:
    """How a command ended: `killed_at_s` after its start and what ran then, or by itself, as its course tells."""

    code: int
    course: Course
    said: str
    killed_at_s: float | None = None
    running: tuple[str, ...] = ()


@dataclass
class _Ear:
    """What a process says, with the second in which it did."""

    process: subprocess.Popen[str]
    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line)
                if match := _STEP.match(line):
                    self.steps.append((match[1], time.monotonic() - self.began))
                self.news.notify()
        with self.news:
            self.news.notify()

    def await_step(self, name: str) -> None:
        """Until it is told, or the process has ended."""
        with self.news:
            while name not in dict(self.steps) and self.process.poll() is None:
                self.news.wait(0.05)


def run(data_dir: Path, *words: str, at: Moment | None = None, manner: Manner = Manner.ALL) -> Fate:
    """Run a command, and kill it at a moment unless it has ended by then."""
    process = subprocess.Popen(
        [*NETBOOT, "--data-dir", str(data_dir), *words],
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    ear = _Ear(process)
    listener = threading.Thread(target=ear.listen)
    listener.start()
    killed_at_s: float | None = None
    running: tuple[str, ...] = ()
    if at is not None:
        if at.step is not None:
            ear.await_step(at.step)
        with suppress(subprocess.TimeoutExpired):
            process.wait(at.delay_s)
        if process.poll() is None:
            running = others()
            _kill(process, manner)
            killed_at_s = time.monotonic() - ear.began
    code = process.wait()
    lasted_s = time.monotonic() - ear.began
    settle()
    listener.join()
    if code != -signal.SIGKILL:
        killed_at_s = None
    return Fate(code, Course.of(lasted_s, ear.steps), "".join(ear.lines), killed_at_s, running)


def _kill(process: subprocess.Popen[str], manner: Manner) -> None:
    process.kill()
    for pid in _pids() if manner is Manner.ALL else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def settle() -> None:
    """Wait until no process is left of what ran; a `Finding` names those that stay."""
    ends_at = time.monotonic() + _SETTLED_S
    while left := others():
        if time.monotonic() > ends_at:
            raise Finding(f"{', '.join(left)} still ran {_SETTLED_S:g} s after the command was gone")
        _bury()
        time.sleep(0.01)


def others() -> tuple[str, ...]:
    """The names of the processes here, but for us."""
    names = []
    for pid in _pids():
        with suppress(OSError):
            names.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return tuple(sorted(names))


def _pids() -> list[int]:
    """Every process but us that is more than an entry in a table."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state = (folder / "stat").read_text().rpartition(") ")[2][0]
            if int(folder.name) != os.getpid() and state not in "ZX":
                found.append(int(folder.name))
    return found


def _bury() -> None:
    """Take leave of orphans, whose parent we became."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def footprint(folder: Path) -> frozenset[str]:
    """The mounts that we see, and the loop devices of files below a folder."""
    mounts = {line.split(" ", 2)[2] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    loops = set()
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            if str(folder) in (file := backing.read_text()):
                loops.add(f"{backing.parent.parent.name} of {file.strip()}")
    return frozenset(mounts | loops)


def within_walls(argv: Sequence[str]) -> int:
    """Run a program as the first process of namespaces of its own; this one only waits for it."""
    walls = subprocess.Popen([*_WALLS, "--", *argv])
    try:
        return walls.wait()
    except KeyboardInterrupt:
        walls.kill()
        return 128 + signal.SIGINT
