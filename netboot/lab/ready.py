"""The listening end of systemd's notify protocol: how the lab learns that its daemon is ready.

See sd_notify(3) and `netboot.system.notify`, the talking end.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from netboot.errors import Unavailable
from netboot.lab.process import Child

_LOOK_S = 0.2  # how often we look whether the daemon still lives while it says nothing


class ReadySocket:
    """A datagram socket at `path`, to be named to the daemon as NOTIFY_SOCKET; used with `with`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(_LOOK_S)

    def wait(self, child: Child, *, timeout_s: float) -> None:
        """Return when `child` is ready; `Unavailable` if it ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            child.check()
            if is_ready(self._receive()):
                return
        raise Unavailable(f"{child.name} was not ready after {timeout_s:g} s", hint=f"see its log: {child.log}")

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except TimeoutError:
            return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


def is_ready(datagram: bytes) -> bool:
    """Whether one of the datagram's lines says so."""
    return b"READY=1" in datagram.split(b"\n")
