"""A server program that outlives us: started, found again by its pid file, told to reload, ended.

Whether it is ready is read from the kernel's table of listening sockets, so no traffic is made and a network namespace
without a loopback address works too.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from netboot.errors import Unavailable
from netboot.system.commands import TAIL_LINES, start_service

_LISTEN = "0A"
_POLL_S = 0.05


@dataclass(kw_only=True, slots=True)
class Supervised:
    """One server program that listens on TCP `port`, for which clients need `service`.

    `argv` holds `pid_file`'s path as a word, by which a running one is told from a stranger with the same number.
    `env` is added to our environment; it works in `folder`.
    """

    argv: tuple[str, ...]
    pid_file: Path
    log: Path
    port: int
    taken_hint: str
    service: str = "NFS"
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    timeout_s: float = 30.0
    _child: subprocess.Popen[str] | None = field(default=None, init=False)

    def alive(self) -> bool:
        return self._pid() is not None

    def prepare(self) -> None:
        """`Unavailable` when it does not run yet and the port is another's."""
        if not self.alive() and listens(self.port):
            raise Unavailable(
                f"TCP port {self.port} is taken, so {self.service} cannot be served", hint=self.taken_hint
            )

    def start(self) -> None:
        """Start it and wait until it listens; `Unavailable` when the port is another's or it does not come up."""
        self.prepare()
        self.log.write_text("", encoding="utf-8")
        self._child = start_service(self.argv, log=self.log, env=self.env, folder=self.folder)
        self._await(lambda: listens(self.port), "did not start to listen")

    def reload(self, *, until: str) -> None:
        """SIGHUP, then wait until the log says so with the words `until`."""
        size = self.log.stat().st_size
        if pid := self._pid():
            os.kill(pid, signal.SIGHUP)
        self._await(lambda: until in self._said(size), "did not reload")

    def stop(self, *, patience_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL when that was not enough; returns when it is gone."""
        for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, patience_s)):
            pid = self._pid()
            if pid is None:
                break
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                signal.pidfd_send_signal(handle, number)
                select.select([handle], [], [], wait_s)
                os.close(handle)
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(patience_s)
            self._child = None
        self.pid_file.unlink(missing_ok=True)

    def _pid(self) -> int | None:
        """The number of the running server, started by us or before us."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        with suppress(OSError, ValueError):
            pid = int(self.pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            return pid if str(self.pid_file) in words else None
        return None

    def _await(self, ready: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not ready():
            if not self.alive() or time.monotonic() > deadline:
                raise Unavailable(
                    f"{self.argv[0]} {complaint}; its last words:\n{self._tail()}", hint=f"see {self.log}"
                )
            time.sleep(_POLL_S)

    def _said(self, since: int) -> str:
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def _tail(self) -> str:
        return "\n".join(self._said(0).splitlines()[-TAIL_LINES:])


def listens(port: int) -> bool:
    """Whether anything in this network namespace listens on the TCP port."""
    return any(port in listening_ports(_table(name)) for name in ("tcp", "tcp6"))


def listening_ports(table: str) -> set[int]:
    """The ports of a /proc/net/tcp table whose sockets listen."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTEN}


def _table(name: str) -> str:
    file = Path("/proc/net") / name
    return file.read_text() if file.exists() else ""
