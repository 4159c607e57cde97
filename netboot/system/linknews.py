"""News of links and addresses: the kernel says that something changed, and whoever hears looks at all of it anew.

So no message has to be understood, and none that was lost in a burst is missed (rtnetlink(7)).  What there is now is
told by `netboot.system.links`.
"""

from __future__ import annotations

import errno
import socket
from types import TracebackType
from typing import Self

# <linux/rtnetlink.h>
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR = 0x1, 0x10
_BUFFER = 65536


class LinkNews:
    """Readable when there is news; used with `with`."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Take all news there is."""
        while True:
            try:
                self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # some was lost, which is news too
                    raise
