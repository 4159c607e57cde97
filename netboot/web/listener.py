"""The socket that boot files are asked on: connections come in, idle ones are sent away, all end with the listener."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address

from netboot.errors import NetbootError, NotPermitted, Unavailable
from netboot.web.connection import Connection, State
from netboot.web.idle import IdleRules, overdue
from netboot.web.request import Request
from netboot.web.response import Response
from netboot.web.turns import READABLE, Turns

log = logging.getLogger(__name__)

# Whom a request comes from, and the address and port of ours that it came to.
Respond = Callable[[Request, IPv4Address, tuple[IPv4Address, int]], Response | asyncio.Task[Response]]

_BACKLOG = 1024
# New connections a turn, each answered at once when its request is there: first come, first served.
_ACCEPTED_AT_ONCE = 16
# Without descriptors or memory nothing can be accepted; that passes.
_PAUSE_S = 1.0
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_SHUTDOWN_S = 2.0
_LINGER_S = 2.0
# A client that is switched off in the middle of a transfer is noticed after so long without an acknowledgement.
_SILENCE_MS = 60_000


class BootListener:
    """`respond` on a socket; it must neither block nor raise.  `port` 0 takes any free port, for tests."""

    def __init__(
        self, respond: Respond, address: IPv4Address, port: int, *, idle_rules: IdleRules | None = None
    ) -> None:
        self._respond = respond
        self._address = address
        self._wanted_port = port
        self._idle_rules = idle_rules or IdleRules()
        self._door: _Door | None = None

    @property
    def port(self) -> int:
        if self._door is None:
            raise Unavailable("the boot listener is not running")
        return self._door.port

    async def start(self) -> None:
        """Open the port and serve.  Raises `Unavailable` or `NotPermitted`."""
        try:
            sock = _listening(self._address, self._wanted_port)
        except OSError as error:
            raise _explained(error, self._address, self._wanted_port) from error
        self._door = _Door(sock, self._respond, self._idle_rules)

    async def stop(self) -> None:
        """Close the port; transfers under way get a moment to end."""
        if self._door is not None:
            door, self._door = self._door, None
            await door.close()


class _Door:
    """A listening socket and the connections that came through it."""

    def __init__(self, sock: socket.socket, respond: Respond, rules: IdleRules) -> None:
        self.port: int
        address, self.port = sock.getsockname()
        self._socket = sock
        self._respond = respond
        self._own = IPv4Address(address), self.port
        self._rules = rules
        self._connections: set[Connection] = set()
        self._turns = Turns()
        self.stopping = False
        self._turns.wait(self, READABLE)
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        self.stopping = True
        self._watching.cancel()
        self._turns.leave(self)
        self._socket.close()
        until = time.monotonic() + _SHUTDOWN_S
        for each in self._in_state(State.IDLE):
            each.close()
        while self._connections and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for each in tuple(self._connections):
            each.close()
        self._turns.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def ready(self, *, gone: bool) -> None:
        """Let in who waits.  (`gone` cannot be: a listening socket has no peer.)"""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                sock, (peer, _) = self._socket.accept()
            except OSError as error:
                if error.errno in _PASSING:
                    self._pause(error)
                return  # nobody is there, or who was is gone again (accept(2))
            sock.setblocking(False)
            connection = Connection(sock, IPv4Address(socket.inet_aton(peer)), self._turns, self)
            self._connections.add(connection)
            connection.ready(gone=False)

    def respond(self, request: Request, peer: IPv4Address) -> Response | asyncio.Task[Response]:
        return self._respond(request, peer, self._own)

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def _pause(self, error: OSError) -> None:
        log.warning("no connection can be accepted for a moment: %s", os.strerror(error.errno or 0))
        self._turns.leave(self)
        asyncio.get_running_loop().call_later(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if not self.stopping:
            self._turns.wait(self, READABLE)

    async def _watch(self) -> None:
        """Close what is idle by the rules, and who does not stop talking, until cancelled."""
        while True:
            await asyncio.sleep(self._rules.look_s)
            now = time.monotonic()
            for each in overdue(self._in_state(State.IDLE), self._rules, now=now):
                each.close()
            for each in self._in_state(State.LINGERING):
                if now - each.since >= _LINGER_S:
                    each.close()

    def _in_state(self, state: State) -> list[Connection]:
        return [each for each in self._connections if each.state is state]


def _listening(address: IPv4Address, port: int) -> socket.socket:
    """Open to connections.  What is set here each of them inherits, which costs nothing when it comes."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
        sock.bind((str(address), port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _explained(error: OSError, address: IPv4Address, port: int) -> NetbootError:
    where = f"TCP port {port} of {address}"
    match error.errno:
        case errno.EADDRINUSE:
            return Unavailable(
                f"{where} is taken, so boot files cannot be served",
                hint=f"see who holds it with `ss -tlpn sport = :{port}`; stop it, or set another http port",
            )
        case errno.EACCES | errno.EPERM:
            return NotPermitted(
                f"the right to open {where} is lacking",
                hint="run as root, give the service CAP_NET_BIND_SERVICE, or set a port above 1023",
            )
        case errno.EADDRNOTAVAIL:
            return Unavailable(
                f"no interface has the address {address}", hint="see `ip -4 address`, and correct the configuration"
            )
    return Unavailable(f"cannot open {where}: {os.strerror(error.errno or 0)}")
