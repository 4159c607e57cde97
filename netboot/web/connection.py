"""One client's connection: requests in, responses out, in order; file bodies go from the page cache by sendfile.

It reads, answers and writes in its turn and never blocks.  While it answers it reads nothing, so a client that asks
faster than it takes its answers waits; one request is answered a turn, so that no client keeps the others waiting.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from ipaddress import IPv4Address
from typing import Protocol

from netboot.web.refusal import Refused
from netboot.web.request import Request, RequestReader
from netboot.web.response import FilePart, Response, encode_head
from netboot.web.turns import READABLE, WRITABLE, Turns

_READ_BYTES = 64 * 1024
# What one turn sends at most of a file; the socket's buffer mostly ends it sooner.
_SEND_BYTES = 2 << 20
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class State(Enum):
    """What the connection is at."""

    IDLE = auto()  # no request, or half of one
    ANSWERING = auto()  # the answer is being found
    SENDING = auto()
    LINGERING = auto()  # all is said; what still comes is thrown away
    CLOSED = auto()


class Keeper(Protocol):
    """Who has the connection.  `respond` does not raise."""

    @property
    def stopping(self) -> bool: ...

    def respond(self, request: Request, peer: IPv4Address) -> Response | asyncio.Task[Response]: ...

    def forget(self, connection: Connection) -> None: ...


class Connection:
    """`since` is when it last became idle, or began to linger, by the monotonic clock."""

    def __init__(self, sock: socket.socket, peer: IPv4Address, turns: Turns, keeper: Keeper) -> None:
        """On a socket that does not block."""
        self.peer = peer
        self.state = State.IDLE
        self.since = time.monotonic()
        self._socket = sock
        self._turns = turns
        self._keeper = keeper
        self._reader = RequestReader()
        self._task: asyncio.Task[Response] | None = None
        self._keep = True
        self._unsent = b""
        self._file: FilePart | None = None
        self._sent = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def ready(self, *, gone: bool) -> None:
        if gone:
            self.close()
        elif self.state is State.IDLE:
            self._read()
        elif self.state is State.SENDING:
            self._send()
        elif self.state is State.LINGERING:
            self._discard()

    def close(self) -> None:
        """At once.  A file that was under way is told to be cut off."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._turns.leave(self)
        self._socket.close()
        if self._task is not None:
            self._task.cancel()
        self._end_file()
        self._keeper.forget(self)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            self._turns.wait(self, READABLE)
            return
        except OSError:
            data = b""
        if data:
            self._reader.feed(data)
            self._next()
        else:
            self.close()

    def _next(self) -> None:
        """Answer the next request, or wait until it is whole."""
        try:
            request = self._reader.next()
        except Refused as refused:
            # Who cannot be understood is spoken to in the simplest way.
            self._keep = False
            self._begin(Response.refusal(refused), "HTTP/1.0", has_body=True)
            return
        if request is None:
            if self._reader.take_continue():
                with suppress(OSError):
                    self._socket.send(_CONTINUE)
            self._turns.wait(self, READABLE)
            return
        self.state = State.ANSWERING
        self._keep = request.keeps_connection
        response = self._keeper.respond(request, self.peer)
        if isinstance(response, Response):
            self._answer(request, response)
        else:
            self._task = response
            self._turns.wait(self, 0)
            response.add_done_callback(partial(self._answer_later, request))

    def _answer_later(self, request: Request, task: asyncio.Task[Response]) -> None:
        self._task = None
        if task.cancelled():
            self.close()
        elif self.state is not State.CLOSED:
            self._answer(request, task.result())
        elif (file := task.result().file) is not None:
            file.end(None)

    def _answer(self, request: Request, response: Response) -> None:
        self._keep = self._keep and not self._keeper.stopping
        self._begin(response, request.version, has_body=request.method != "HEAD")

    def _begin(self, response: Response, version: str, *, has_body: bool) -> None:
        self.state = State.SENDING
        head = encode_head(response, version=version, keep=self._keep, now=time.time())
        self._unsent = head + response.body if has_body else head
        self._file, self._sent = response.file, 0
        if self._file is not None and not has_body:
            self._file.end(None)
            self._file = None
        self._send()

    def _send(self) -> None:
        """As much as the socket takes; the rest when it takes more."""
        try:
            over = self._send_bytes() and self._send_file()
        except BlockingIOError:
            over = False
        except OSError:
            self.close()
            return
        if over:
            self._end_answer()
        else:
            self._turns.wait(self, WRITABLE)

    def _send_bytes(self) -> bool:
        """Whether all of them are out.  Those before a file go with its first bytes."""
        if self._unsent:
            sent = self._socket.send(self._unsent, socket.MSG_MORE if self._file and self._file.span.count else 0)
            self._unsent = self._unsent[sent:]
        return not self._unsent

    def _send_file(self) -> bool:
        """Whether it is out, if there is one."""
        file = self._file
        if file is None or self._sent == file.span.count:
            return True
        start, left = file.span.start + self._sent, file.span.count - self._sent
        sent = os.sendfile(self._socket.fileno(), file.descriptor, start, min(left, _SEND_BYTES))
        if sent == 0:
            raise OSError("the file has become shorter")
        self._sent += sent
        return sent == left

    def _end_answer(self) -> None:
        self._end_file()
        self.since = time.monotonic()
        if not self._keep:
            self._take_leave()
            return
        self.state = State.IDLE
        if self._reader.pending:
            self._turns.wait(self, 0)
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._turns.wait(self, READABLE)

    def _go_on(self) -> None:
        if self.state is State.IDLE:
            self._next()

    def _end_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.end(self._sent)

    def _take_leave(self) -> None:
        """Close; but while the client still sends, closing would destroy what it has yet to read (RFC 9112 9.6)."""
        if not (self._reader.pending or self._reader.broken):
            self.close()
            return
        self.state = State.LINGERING
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._turns.wait(self, READABLE)

    def _discard(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
