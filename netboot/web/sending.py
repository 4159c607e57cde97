"""A file as an HTTP response, by sendfile: HEAD, single ranges, a length always, never compressed or redirected.

Firmware is the client here: EDK2 asks HEAD first and resumes by range, GRUB reads header
names in Title-Case only, and none of them copes with a missing Content-Length.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from netboot.web.ranges import Span, Unsatisfiable, requested

# A client that is switched off in the middle of a transfer is noticed after so long without an acknowledgement.
_SILENCE_MS = 60_000


class SentFile(web.StreamResponse):
    """`span` of an open file.  `sent` counts the body's bytes that the kernel took, also when the client went away.

    `complete` tells, afterwards, whether all that was promised went out.
    """

    def __init__(self, file: BinaryIO, span: Span, *, status: int, content_type: str, etag: str) -> None:
        super().__init__(status=status)
        self._file = file
        self._span = span
        self.sent = 0
        self.content_type = content_type
        self.content_length = span.count
        self.headers["Accept-Ranges"] = "bytes"
        self.headers["ETag"] = etag
        if status == 206:
            self.headers["Content-Range"] = span.content_range

    @property
    def complete(self) -> bool:
        return self.sent == self._span.count

    @property
    def reaches_end(self) -> bool:
        return self._span.reaches_end

    async def deliver(self, request: web.Request) -> None:
        """Send headers and body; for HEAD the headers only.  A client that goes away is no error here."""
        writer = await self.prepare(request)
        transport = request.transport
        if request.method == "HEAD" or writer is None or transport is None:
            return
        # aiohttp keeps the headers back to join them with the first piece of the body, which passes it by here.
        writer.send_headers()
        _notice_silence(transport)
        loop = asyncio.get_running_loop()
        try:
            if self._span.count:
                self.sent = await loop.sendfile(transport, self._file, self._span.start, self._span.count)
        except OSError:
            self.sent = max(0, self._file.tell() - self._span.start)
            self.force_close()
            transport.abort()


def respond(request: web.Request, file: BinaryIO, size: int, *, content_type: str, etag: str) -> SentFile:
    """The response to GET or HEAD of an open file.  Raises 416 and 412."""
    wanted = request.headers.get("If-Match")
    if wanted is not None and wanted.strip() != "*" and etag not in wanted:
        raise web.HTTPPreconditionFailed(text="the file has changed\n")
    # RFC 9110 13.1.5: a range of another version of the file is no use.
    resumable = request.headers.get("If-Range", etag) == etag
    try:
        span = requested(request.headers.get("Range"), size) if resumable else None
    except Unsatisfiable as error:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"}) from error
    whole = Span(0, size, size)
    return SentFile(file, span or whole, status=206 if span else 200, content_type=content_type, etag=etag)


def open_file(path: Path) -> BinaryIO:
    return open(path, "rb")  # noqa: PTH123 - Path.open costs twice as much, and ranges come by the thousand


def _notice_silence(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
