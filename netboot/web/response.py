"""What is answered: a status, header fields and a body, which is bytes or a part of a file.

Names are in Title-Case, since GRUB finds none else (rule 0.14); a length is always told, nothing is compressed and
nothing redirected (rules 0.13 and 5.4).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from netboot.web.ranges import Span
from netboot.web.refusal import Refused

_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_NO_CONTENT = 204


@dataclass(slots=True)
class FilePart:
    """`span` of an open file as a body.  Whoever has it calls `end` once; `told` hears how much went out of a GET."""

    descriptor: int
    span: Span
    told: Callable[[int], None]

    def end(self, sent: int | None) -> None:
        """The file is no longer needed; `sent` is None when no body was asked for."""
        os.close(self.descriptor)
        if sent is not None:
            self.told(sent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`file` is the body when there is one, else `body` is."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    file: FilePart | None = None

    @classmethod
    def of(cls, text: str) -> Response:
        return cls(body=text.encode())

    @classmethod
    def refusal(cls, refused: Refused) -> Response:
        return cls(status=refused.status, body=refused.text.encode(), headers=tuple(refused.headers))


def encode_head(response: Response, *, version: str, keep: bool, now: float) -> bytes:
    """Status line and fields.  The version is the client's own, as firmware of old expects it."""
    size = response.file.span.count if response.file else len(response.body)
    lines = [f"{version} {response.status} {_PHRASES[response.status]}"]
    if response.status != _NO_CONTENT:  # which has neither (RFC 9110 section 8.6)
        lines += (f"Content-Type: {response.content_type}", f"Content-Length: {size}")
    lines += (f"{name}: {value}" for name, value in response.headers)
    lines += (f"Date: {_date(int(now))}", "Server: netboot")
    if not keep:
        lines.append("Connection: close")
    elif version == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
