"""HTTP/1.0 and 1.1 requests (RFC 9112), as far as firmware, loaders and clients speak it: bytes in, requests out.

Pure: no socket, no clock.  A request is its head and a short body of known length.  What is ambiguous is refused, never
guessed at: two readers of one stream must not see different requests.  Two liberties, for firmware: `Host` may be
missing, and empty lines may come before a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from netboot.web.refusal import Refused

# A boot loader sends some 200 bytes.
HEAD_MAX_BYTES = 16 * 1024
FIELDS_MAX = 64
# Reports are the only bodies.
BODY_MAX_BYTES = 32 * 1024

_LINE = re.compile(r"([A-Z]{1,16}) ([!-~]{1,8000}) HTTP/1\.([01])")
_OTHER_VERSION = re.compile(r"[A-Z]{1,16} [!-~]+ HTTP/[0-9]\.[0-9]")
_ABSOLUTE = re.compile(r"https?://[^/?]+", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# A line ends in CR LF, both of them and nowhere else; other control characters stand nowhere, but for tabs.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_LENGTH = re.compile(r"[0-9]{1,19}")
_ONCE = frozenset({"host", "content-length", "transfer-encoding", "range", "if-range", "expect"})
_END, _EMPTY_LINE = b"\r\n\r\n", b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked.  `path` is percent-decoded and `query` is not; names in `headers` are in lower case."""

    method: str
    path: str
    query: str
    version: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def keeps_connection(self) -> bool:
        """Whether the client means to ask again on this connection (RFC 9112 section 9.3)."""
        said = {option.strip().lower() for option in self.headers.get("connection", "").split(",")}
        return "close" not in said and (self.version == "HTTP/1.1" or "keep-alive" in said)


class RequestReader:
    """The requests of one connection, in order.  Holds no more than it was fed since the last request was taken.

    `broken` once a request was refused: where the next one begins cannot be told.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._head: Request | None = None
        self._length = 0
        self._continue = False
        self.broken = False

    @property
    def pending(self) -> bool:
        """Whether bytes wait that belong to no request yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Request | None:
        """The next request once it is whole.  Raises `Refused`, and again when asked again."""
        if self.broken:
            raise Refused(400, "nothing is understood after a request that was not\n")
        try:
            if self._head is None and not self._read_head():
                return None
        except Refused:
            self.broken = True
            raise
        head, length = self._head, self._length
        if head is None or len(self._buffer) < length:
            return None
        self._head, self._continue = None, False
        if not length:
            return head
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return replace(head, body=body)

    def take_continue(self) -> bool:
        """Whether the client waits to be told to send its body; once a request."""
        wanted, self._continue = self._continue, False
        return wanted

    def _read_head(self) -> bool:
        """Whether a head was there."""
        buffer = self._buffer
        while buffer.startswith(_EMPTY_LINE):
            del buffer[:2]
            self._searched = 0
        end = buffer.find(_END, self._searched)
        if end > HEAD_MAX_BYTES or (end < 0 and len(buffer) > HEAD_MAX_BYTES):
            raise Refused(400, f"a request's head has at most {HEAD_MAX_BYTES} bytes\n")
        if end < 0:
            self._searched = max(0, len(buffer) - len(_END) + 1)
            return False
        head = parse_head(buffer[:end].decode("latin-1"))
        del buffer[: end + len(_END)]
        self._searched = 0
        self._head, self._length = head, body_length(head.headers)
        self._continue = is_continue_expected(head) and self._length > len(buffer)
        return True


def parse_head(text: str) -> Request:
    """A head without its last, empty line.  Raises `Refused`."""
    if _CONTROL.search(text):
        raise Refused(400, "a request is lines of text that end in CR LF\n")
    line, *fields = text.split("\r\n")
    match = _LINE.fullmatch(line)
    if match is None:
        if _OTHER_VERSION.fullmatch(line) and "HTTP/1." not in line:
            raise Refused(505, "HTTP/1.0 and HTTP/1.1 are spoken here\n")
        raise Refused(400, "a request begins with a method, a path and a version of HTTP\n")
    method, target, minor = match.groups()
    path, _, query = _origin_form(target).partition("?")
    return Request(
        method=method,
        path=unquote(path) if "%" in path else path,
        query=query,
        version="HTTP/1.1" if minor == "1" else "HTTP/1.0",
        headers=_headers(fields),
    )


def body_length(headers: Mapping[str, str]) -> int:
    """How long the body is.  Raises `Refused` for one that is too long, or whose length is not told in advance."""
    if "transfer-encoding" in headers:
        raise Refused(411, "a body's length is told by Content-Length\n")
    said = headers.get("content-length")
    if said is None:
        return 0
    if not _LENGTH.fullmatch(said):
        raise Refused(400, "Content-Length is a number\n")
    if int(said) > BODY_MAX_BYTES:
        raise Refused(413, f"a body has at most {BODY_MAX_BYTES} bytes\n")
    return int(said)


def is_continue_expected(head: Request) -> bool:
    """Whether the body is sent only when asked for (RFC 9110 section 10.1.1).  Raises `Refused` for other wishes."""
    said = head.headers.get("expect")
    if said is None or head.version == "HTTP/1.0":
        return False
    if said.lower() != "100-continue":
        raise Refused(417, "nothing but 100-continue can be expected\n")
    return True


def _origin_form(target: str) -> str:
    """The target from its path on: some clients name the server as well (RFC 9112 section 3.2.2)."""
    if target[0] == "/":
        return target
    match = _ABSOLUTE.match(target)
    if match is None:
        raise Refused(400, "a path begins with a slash\n")
    rest = target[match.end() :]
    return rest if rest.startswith("/") else f"/{rest}"


def _headers(fields: list[str]) -> dict[str, str]:
    if len(fields) > FIELDS_MAX:
        raise Refused(400, f"a request has at most {FIELDS_MAX} header fields\n")
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        # Also where a blank precedes the colon or begins the line: others read such fields differently.
        if not colon or not _NAME.fullmatch(name):
            raise Refused(400, "a header field is a name, a colon and a value\n")
        name, value = name.lower(), value.strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            raise Refused(400, f"{name} can be told only once\n")
        else:
            headers[name] += f", {value}"
    return headers
