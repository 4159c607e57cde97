"""Which port a transfer gets: any that is free, or one of a range, for firewalls that must know it beforehand."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address


class TransferPorts:
    """Binds transfers' sockets.  `ports` None leaves the choice to the kernel.

    Of a range each port is taken in its turn, so that a late packet of one transfer seldom meets the next.
    """

    def __init__(self, ports: range | None = None) -> None:
        self._ports = ports
        self._next = 0

    def bind(self, sock: socket.socket, local: IPv4Address) -> None:
        """Raises OSError; `EADDRINUSE` with a text for people when every port of the range is taken."""
        if self._ports is None:
            sock.bind((str(local), 0))
            return
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            try:
                sock.bind((str(local), port))
            except OSError as taken:
                if taken.errno != errno.EADDRINUSE:
                    raise
            else:
                return
        raise OSError(errno.EADDRINUSE, "every port of the setting tftp.ports is taken; make the range wider")
