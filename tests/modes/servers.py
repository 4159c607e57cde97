"""The servers of roots that a lab's daemon starts, where the kernel has none."""

from __future__ import annotations

from netboot.lab.lab import Lab
from netboot.model.root import RootMode

_PID_FILES = {RootMode.NFS: "ganesha.pid", RootMode.NFS_FILE: "ganesha.pid", RootMode.ISCSI: "tgtd.pid"}


def pid_of_server(lab: Lab, mode: RootMode) -> int:
    """The process that serves the roots of clients in this mode; there is one once a client asked for its script."""
    return int((lab.state / "run" / _PID_FILES[mode]).read_text())
