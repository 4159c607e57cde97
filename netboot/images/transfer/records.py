"""Records of a pax header (POSIX.1-2001): `LENGTH KEY=VALUE`, where the value may be any bytes."""

from __future__ import annotations

from collections.abc import Mapping

from netboot.errors import InvalidInput
from netboot.images.transfer.fields import decimal


def parse_records(content: bytes) -> dict[str, bytes]:
    """The records of a pax header: `LENGTH KEY=VALUE\\n`, of which the value may be any bytes."""
    found: dict[str, bytes] = {}
    at = 0
    sparse: list[bytes] = []
    while at < len(content):
        blank = content.find(b" ", at, at + 20)
        digits = content[at:blank] if blank > 0 else b""
        if not digits.isdigit():
            raise InvalidInput("a pax header is broken: it has a record without a length")
        end = at + int(digits)
        record = content[blank + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(content) or not equals or not value.endswith(b"\n"):
            raise InvalidInput("a pax header is broken: a record does not end where it says")
        name = key.decode("utf-8", "surrogateescape")
        # GNU's sparse format 0.0 says the same key again and again.
        if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            sparse.append(value[:-1])
        else:
            found[name] = value[:-1]
        at = end
    if sparse:
        found["GNU.sparse.map"] = b",".join(sparse)
    return found


def encode_records(records: Mapping[str, bytes]) -> bytes:
    """Sorted, so that the same records are the same bytes."""
    return b"".join(_encode_record(key, value) for key, value in sorted(records.items()))


def number_in(extra: Mapping[str, bytes], key: str, usual: int) -> int:
    return decimal(extra[key], f"the pax record {key}") if key in extra else usual


def time_ns(text: bytes) -> int:
    whole, _, part = text.partition(b".")
    sign = -1 if whole.startswith(b"-") else 1
    seconds = decimal(whole.lstrip(b"-"), "the pax record mtime")
    part_ns = decimal(part[:9].ljust(9, b"0"), "the pax record mtime")
    return sign * (seconds * 10**9 + part_ns)


def encode_time(ns: int) -> bytes:
    sign, (seconds, part) = b"-" if ns < 0 else b"", divmod(abs(ns), 10**9)
    return sign + (b"%d.%09d" % (seconds, part)).rstrip(b"0").rstrip(b".") if part else sign + b"%d" % seconds


def _encode_record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    # The length counts its own digits.
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return b"%d" % length + body
