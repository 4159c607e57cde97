"""The lab's walls: network, mount and process namespaces that end with the lab's process.

The lab does not tidy up links, mounts and processes one by one, since it could not after `kill -9`.  It runs
itself again under `unshare`: the first process inside is an init of ours, and when that ends, for whatever
reason, the kernel kills every process inside and with the last one removes the links, mounts and loop devices.
The chain is: the process that the user started, `unshare`, our init, the lab; each is killed by the kernel when
the one before it dies (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from netboot.errors import NotPermitted
from netboot.lab.process import import_path, require
from netboot.system.commands import run
from netboot.system.links import Links

# Names the network namespace that the lab was started from.  Whoever sees this variable and is in another
# network namespace is inside; the variable alone, say in a shell that inherited it, proves nothing.
OUTSIDE_VARIABLE = "NETBOOT_LAB_OUTSIDE"

# After Ctrl-C the lab has this long to say how far it came.
GRACE_S = 10.0

_UNSHARE = (
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--mount-proc",
    "--",
)

# /sys shows the links of the namespace that mounted it.  A /run of its own keeps sockets and pid files of what
# the lab starts away from those of the machine, and makes short paths: a Unix socket's has 107 characters.
_MOUNTS = (("sysfs", "/sys"), ("tmpfs", "/run"))
SOCKETS = Path("/run/netboot-lab")


def is_inside(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs within a lab's walls."""
    outside = environ.get(OUTSIDE_VARIABLE)
    return outside is not None and outside != _network_namespace()


def run_inside(argv: Sequence[str], *, stdout: IO[str] | None = None) -> int:
    """Run `argv` within new walls and give its exit status.  This process only waits, and dies with it or before it."""
    if os.geteuid() != 0:
        raise NotPermitted("the lab makes namespaces and taps, which takes root", hint="run it with sudo")
    require(_UNSHARE[0])
    environ = {**os.environ, OUTSIDE_VARIABLE: _network_namespace(), "PYTHONPATH": import_path()}
    init = (sys.executable, "-m", "netboot.lab.namespace", "--init", *argv)
    with subprocess.Popen([*_UNSHARE, *init], env=environ, stdout=stdout) as walls:
        try:
            return _exit_status(walls.wait())
        except KeyboardInterrupt:
            # The terminal sent SIGINT to the lab as well; it ends by itself.  If not, its walls are torn down.
            return _wait_or_kill(walls)


def _wait_or_kill(walls: subprocess.Popen[bytes]) -> int:
    try:
        walls.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        walls.kill()
        walls.wait()
    return 128 + signal.SIGINT


def run_as_init(argv: Sequence[str]) -> int:
    """What the first process inside does: furnish the place, start `argv`, and bury orphans until it ends."""
    # Ctrl-C is for the child.  A handler that does nothing, unlike SIG_IGN, is not handed on to it.
    signal.signal(signal.SIGINT, lambda *_: None)
    _furnish()
    child = subprocess.Popen(argv)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return _exit_status(os.waitstatus_to_exitcode(status))


def _furnish() -> None:
    for kind, where in _MOUNTS:
        run(["mount", "-t", kind, kind, where])
    SOCKETS.mkdir()
    with Links() as links:
        links.set_up("lo")


def _exit_status(code: int) -> int:
    """As a shell would say it: 128 + signal for a process that was killed."""
    return 128 - code if code < 0 else code


def _network_namespace() -> str:
    return str(Path("/proc/self/ns/net").readlink())


def main(argv: Sequence[str]) -> int:
    """`python -m netboot.lab.namespace COMMAND...` runs any command within walls, as the boot tests do."""
    if argv[:1] == ["--init"]:
        return run_as_init(argv[1:])
    return run_inside(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
