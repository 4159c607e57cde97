"""Where the benchmark runs: two network namespaces with a veth pair between them, and a core for each side.

The whole of it stands within walls of its own (`netboot.lab.namespace`), which the kernel removes with the last
process.  The clients' side owns half of the network (an AnyIP route), so that each simulated client has an address.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netboot.errors import Unavailable
from netboot.system.commands import run

SERVER, CLIENTS = "10.98.0.1", "10.98.0.2"
NETWORK, POOL_NETWORK = "10.98.0.0/16", "10.98.128.0/17"
POOL_FIRST, POOL_LAST = "10.98.128.1", "10.98.255.254"
INTERFACE = "server0"
SERVER_CORE, CLIENT_CORE = 0, 1

_ROOM = 8 << 20


def build() -> None:
    """Make the network within the walls.  The server's side is the namespace that we are in."""
    Path("/run/netns").mkdir(exist_ok=True)
    for argv in (
        "ip netns add clients",
        f"ip link add {INTERFACE} type veth peer name clients0 netns clients",
        "ip link set lo up",
        f"ip address add {SERVER}/16 dev {INTERFACE}",
        f"ip link set {INTERFACE} up",
        "ip -n clients link set lo up",
        f"ip -n clients address add {CLIENTS}/16 dev clients0",
        "ip -n clients link set clients0 up",
        # One neighbour for all clients: the table of neighbours is no part of what is measured.
        f"ip route add {POOL_NETWORK} via {CLIENTS}",
        f"ip -n clients route add local {POOL_NETWORK} dev lo",
    ):
        run(argv.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the load client tells; times are in seconds or, where the name says so, milliseconds."""

    ended: int
    failed: int
    seconds: float
    bytes: int
    retries: int
    cpu_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float


def load(binary: Path, arguments: Sequence[str], *, timeout_s: float = 240.0) -> Load:
    """Run the load client on its core of the clients' side."""
    return read_load(run(_load_argv(binary, arguments), timeout_s=timeout_s).stdout)


@contextlib.contextmanager
def load_beside(binary: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Run another load client there until the end of the block; what it has to tell is thrown away."""
    process = subprocess.Popen(_load_argv(binary, arguments), stdout=subprocess.DEVNULL)
    try:
        yield
        if process.poll() is not None:
            raise Unavailable("the load beside ended before what was measured", hint="give it more jobs in rows.py")
    finally:
        process.kill()
        process.wait()


def _load_argv(binary: Path, arguments: Sequence[str]) -> list[str]:
    argv = ["ip", "netns", "exec", "clients", "taskset", "-c", str(CLIENT_CORE), str(binary)]
    return [*argv, "--server", SERVER, "--source", CLIENTS, *arguments]


def read_load(line: str) -> Load:
    value: dict[str, Any] = json.loads(line)
    return Load(**value)


def compile_load(folder: Path) -> Path:
    """The load client, compiled when its source is newer."""
    source, binary = Path(__file__).with_name("load.c"), folder / "load"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        run(["gcc", "-O2", "-Wall", "-Wextra", "-o", binary, source])
    return binary


class Process:
    """A server on its core, and what it used."""

    def __init__(self, argv: Sequence[str | Path], log: Path, env: dict[str, str] | None = None) -> None:
        words = ["taskset", "-c", str(SERVER_CORE), *map(str, argv)]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
            )
        self.log = log

    def ended(self) -> bool:
        return self._process.poll() is not None

    def cpu_s(self) -> float:
        """Of the process, its children, and those that have ended."""
        return sum(cpu_s(pid) for pid in _tree(self._process.pid))

    def resident_bytes(self) -> int:
        return sum(_resident_bytes(pid) for pid in _tree(self._process.pid))

    def stop(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
            return
        self._process.kill()
        self._process.wait()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Of the process and of those children of it that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0
