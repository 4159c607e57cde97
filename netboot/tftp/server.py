"""The TFTP server's edge: one thread, one epoll loop, a connected socket for each transfer.

Its own loop, apart from DHCP and HTTP, because lock-step transfers are bound by wake-ups and a storm of them must
not delay an OFFER.  The usual packet costs one receive, one comparison and one send; a single client's next one is
looked for before the loop sleeps (`vigil`).  Whatever a packet holds, the loop goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from netboot.errors import Unavailable
from netboot.tftp.channel import Channel
from netboot.tftp.content import FileSource, OpenFiles
from netboot.tftp.events import TransferEvent
from netboot.tftp.limits import TftpLimits
from netboot.tftp.listener import open_listener, receive
from netboot.tftp.reception import Reception
from netboot.tftp.transfers import Transfers
from netboot.tftp.vigil import Vigil

log = logging.getLogger(__name__)

# So many requests are read before the transfers get their turn.
_REQUESTS_A_TURN = 64


class TftpServer:
    """Serves what `source` knows.  `source` and `on_event` are called on the server's own thread.

    `interface` binds every socket to one interface; `port` 0 takes any free port, for tests.
    """

    def __init__(
        self,
        address: IPv4Address,
        source: FileSource,
        on_event: Callable[[TransferEvent], None],
        port: int = 69,
        *,
        limits: TftpLimits | None = None,
        interface: str | None = None,
    ) -> None:
        self._address = address
        self._wanted_port = port
        self._source = source
        self._on_event = on_event
        self._limits = limits or TftpLimits()
        self._interface = interface
        self._running: _Loop | None = None

    @property
    def port(self) -> int:
        """The port in use: the one asked for, unless that was 0."""
        if self._running is None:
            raise Unavailable("the TFTP server is not running")
        return self._running.port

    def start(self) -> None:
        """Open the port and serve.  Raises `Unavailable` or `NotPermitted`."""
        listener = open_listener(self._address, self._wanted_port, interface=self._interface)
        _make_room_for_descriptors(2 * self._limits.max_transfers)
        self._running = _Loop(listener, self._source, self._on_event, self._limits, self._interface)
        self._running.start()

    def stop(self) -> None:
        """End every transfer and close the port; returns when the thread is gone."""
        if self._running is not None:
            self._running.stop()
            self._running = None


class _Loop(threading.Thread):
    def __init__(
        self,
        listener: socket.socket,
        source: FileSource,
        on_event: Callable[[TransferEvent], None],
        limits: TftpLimits,
        interface: str | None,
    ) -> None:
        super().__init__(name="tftp", daemon=True)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._epoll = select.epoll()
        self._vigil = Vigil()
        files = OpenFiles()
        self._transfers = Transfers(self._epoll, files, on_event)
        self._reception = Reception(
            source, self._transfers, files, on_event, port=self.port, limits=limits, interface=interface
        )
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._epoll.register(listener, select.EPOLLIN)
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self.join()
        # Not in `run`: a busy thread sees `_stopping` and is gone before we have written.
        os.close(self._wake)

    def run(self) -> None:
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self._epoll.close)
            cleanup.callback(self._listener.close)
            cleanup.callback(self._transfers.abort_all, "the server is stopping")
            while not self._stopping:
                self._turn()

    def _turn(self) -> None:
        for descriptor, mask in self._wait():
            channel = self._transfers.at(descriptor)
            if channel is not None:
                self._guarded(channel, mask)
            elif descriptor == self._listener.fileno():
                self._read_requests()
        try:
            self._transfers.expire(time.monotonic())
        except Exception:
            log.exception("tftp: a timer broke")

    def _wait(self) -> list[tuple[int, int]]:
        """What is ready: looked for awake where that pays, otherwise awaited asleep until a timer is due."""
        looks = self._vigil.looks(len(self._transfers))
        for _ in range(looks):
            if ready := self._epoll.poll(0):
                self._vigil.seen()
                return ready
        if looks:
            self._vigil.in_vain()
        due = self._transfers.next_timer()
        return self._epoll.poll(-1.0 if due is None else max(0.0, due - time.monotonic()))

    def _guarded(self, channel: Channel, mask: int) -> None:
        try:
            self._transfers.ready(channel, mask)
        except Exception:
            log.exception("tftp: a transfer to %s port %d broke", *channel.peer)
            self._transfers.abort(channel, "internal error")

    def _read_requests(self) -> None:
        for _ in range(_REQUESTS_A_TURN):
            try:
                arrival = receive(self._listener)
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("tftp: reading a request: %s", error)
                return
            try:
                self._reception.take(arrival)
            except Exception:
                log.exception("tftp: a request of %s port %d broke", *arrival.peer)


def _make_room_for_descriptors(wanted: int) -> None:
    """Raise our own soft limit towards the hard one; services start with 1,024, a storm needs more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 256
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    ceiling = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
