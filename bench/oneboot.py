"""One boot of a lab's client, measured by the same means whoever serves it.

What came to the client is what its tap carried, before the kernel started and after.  "Up" is when systemd has reached
multi-user.target: its log on the console says so at once, and the client's own clock, asked later, tells how long after
the start of its kernel that was.  Nothing is asked of the client until then.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.place import cpu_s
from netboot.lab.client import QemuClient
from netboot.lab.lab import KERNEL_ARGS as SHELL
from netboot.lab.lab import Lab

# Else systemd is silent once a login prompt is on the console, which may be before it is done.
KERNEL_ARGS = (*SHELL, "systemd.log_target=kmsg")
# From power-on; an emulated client on a busy machine takes thrice as long as on an idle one.
UP_S = 600.0
# When memory is read: what starts with the system has then started.
SETTLED_S = 10.0

_KERNEL = r"Linux version "
_UP = r"Reached target .*Multi-User System"
_SINCE_KERNEL = "systemctl show --value --property=ActiveEnterTimestampMonotonic multi-user.target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One boot: bytes to the client before its kernel started (loader, kernel, initrd) and from then to up, seconds
    from the start of the kernel to up, the client's memory that is not available ten seconds later, and CPU
    seconds of all server processes from power-on to up.
    """

    loader_bytes: int
    root_bytes: int
    up_s: float
    memory_bytes: int
    cpu_s: float


def measure(lab: Lab) -> Figures:
    """Boot the lab's first client, which whoever serves it waits for."""
    client = lab.client(0)
    carried, used = carried_to(client), server_cpu_s()
    client.start()
    client.console.expect(_KERNEL, timeout_s=UP_S)
    at_kernel = carried()
    client.console.expect(_UP, timeout_s=UP_S)
    at_up, used = carried(), server_cpu_s() - used
    time.sleep(SETTLED_S)
    client.console.send("")  # another prompt: the first one may have come before the system was up
    client.login(timeout_s=60)
    memory = memory_bytes(client.command("cat /proc/meminfo"))
    since_kernel_us = int(client.command(_SINCE_KERNEL))
    return Figures(
        loader_bytes=at_kernel,
        root_bytes=at_up - at_kernel,
        up_s=since_kernel_us / 1e6,
        memory_bytes=memory,
        cpu_s=round(used, 2),
    )


def carried_to(client: QemuClient) -> Callable[[], int]:
    """How many bytes have been sent to the client since this was called."""
    counter = Path(f"/sys/class/net/{client.spec.seat.tap}/statistics/tx_bytes")
    before = int(counter.read_text())
    return lambda: int(counter.read_text()) - before


def memory_bytes(meminfo: str) -> int:
    """What of the memory is not available, of the text of /proc/meminfo."""
    total, available = (
        int(re.findall(rf"^{name}: +(\d+) kB$", meminfo, re.MULTILINE)[0]) for name in ("MemTotal", "MemAvailable")
    )
    return (total - available) * 1024


def server_cpu_s() -> float:
    """CPU seconds of all processes that serve: those in our network namespace, without QEMU, ourselves and our init."""
    return sum(cpu_s(pid) for pid in _pids() if pid not in (1, os.getpid()) and _serves(pid))


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").glob("[0-9]*")]


def _serves(pid: int) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        here = (process / "ns/net").readlink() == Path("/proc/self/ns/net").readlink()
        return here and not (process / "comm").read_text().startswith("qemu-system")
    except OSError:  # it has ended
        return False
