"""Byte ranges (RFC 9110 section 14), single ones: what firmware that resumes a download asks for.

Pure.  A header that we do not understand, or that asks for several ranges, is ignored, as the RFC allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SINGLE = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """`count` bytes from `start` of a file of `size` bytes."""

    start: int
    count: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.count - 1}/{self.size}"

    @property
    def reaches_end(self) -> bool:
        return self.start + self.count == self.size


class Unsatisfiable(ValueError):
    """The range begins behind the end: 416."""


def requested(header: str | None, size: int) -> Span | None:
    """The part asked for, None for the whole.  Raises `Unsatisfiable`."""
    match = _SINGLE.fullmatch(header or "")
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        count = min(int(last), size)
        if count == 0:
            raise Unsatisfiable
        return Span(size - count, count, size)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, end - start + 1, size)
