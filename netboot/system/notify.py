"""Telling the service manager how we are: systemd's notify protocol, sd_notify(3).

A datagram of `KEY=VALUE` lines to the socket that NOTIFY_SOCKET names.  Without that variable nobody listens
and nothing is sent, so the daemon calls this without asking where it runs.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends our state to the service manager, if there is one.  A manager that went away is not an error."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        # Type=notify-reload wants the moment, so that an old READY is not taken for the new one.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return


def _address(variable: str) -> str | None:
    """The socket's address: a path, or an abstract name that systemd writes with a leading `@`."""
    if variable.startswith("@"):
        return "\0" + variable[1:]
    return variable if variable.startswith("/") else None
