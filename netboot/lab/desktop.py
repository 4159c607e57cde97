"""Waiting until a client's screen shows a desktop, and keeping a picture of it."""

from __future__ import annotations

import time
from pathlib import Path

from netboot.errors import NetbootError
from netboot.lab.client import QemuClient
from netboot.lab.screen import Screen

_LOOK_S = 5.0
# In emulation parts of a desktop are drawn many seconds apart.
_STEADY_S = 30.0


def wait_for_desktop(client: QemuClient, file: Path, *, timeout_s: float) -> Screen:
    """The screen once a desktop is drawn and nothing moves on it any more; `file` keeps it as PNG.

    Raises `NetbootError` when that does not come; `file` then keeps what the screen showed instead.
    """
    now = time.monotonic()
    deadline, before, since = now + timeout_s, None, now
    while True:
        client.check()
        screen, now = client.screen(), time.monotonic()
        if screen != before:
            before, since = screen, now
        if screen.has_desktop() and now - since >= _STEADY_S:
            break
        if now > deadline:
            file.write_bytes(screen.png())
            raise NetbootError(
                f"{client.name} drew no desktop within {timeout_s:g} s",
                hint=f"{file} keeps what it showed; try a longer --timeout",
            )
        time.sleep(_LOOK_S)
    file.write_bytes(screen.png())
    return screen
