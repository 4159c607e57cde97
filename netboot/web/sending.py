"""A file as an HTTP response: HEAD, single ranges, resumed downloads.

Firmware is the client here: EDK2 asks HEAD first and resumes by range, GRUB and iPXE read parts.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netboot.web.ranges import Span, Unsatisfiable, requested
from netboot.web.refusal import Refused
from netboot.web.response import FilePart, Response


def span_for(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, Span]:
    """Status and part of a file of `size` bytes.  Raises 416 and 412."""
    wanted = headers.get("if-match")
    if wanted is not None and wanted != "*" and etag not in wanted:
        raise Refused(412, "the file has changed\n")
    # RFC 9110 13.1.5: a range of another version of the file is no use.
    resumable = headers.get("if-range", etag) == etag
    try:
        span = requested(headers.get("range"), size) if resumable else None
    except Unsatisfiable as error:
        raise Refused(416, "the file ends before that\n", ("Content-Range", f"bytes */{size}")) from error
    return (206, span) if span else (200, Span(0, size, size))


def file_response(
    descriptor: int, status: int, span: Span, *, content_type: str, etag: str, told: Callable[[int], None]
) -> Response:
    """`span` of an open file, which is closed with the response; `told` hears how many bytes of it went out."""
    headers = [("Accept-Ranges", "bytes"), ("ETag", etag)]
    if status == 206:
        headers.append(("Content-Range", span.content_range))
    part = FilePart(descriptor, span, told)
    return Response(status=status, content_type=content_type, headers=tuple(headers), file=part)
