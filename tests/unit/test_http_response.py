"""The head of an answer, to the byte: loaders read it with parsers of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netboot.web.app import find_route
from netboot.web.ranges import Span
from netboot.web.refusal import Refused
from netboot.web.response import FilePart, Response, encode_head
from netboot.web.sending import file_response, span_for

NOW = 784111777.9  # the example of RFC 9110 section 5.6.7


def head(response: Response, *, version: str = "HTTP/1.1", keep: bool = True) -> list[str]:
    octets = encode_head(response, version=version, keep=keep, now=NOW)
    assert octets.endswith(b"\r\n\r\n")
    return octets[:-4].decode().split("\r\n")


def test_a_text() -> None:
    assert head(Response.of("grün\n")) == [
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 6",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT",
        "Server: netboot",
    ]


def test_a_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    told: list[int] = []
    response = file_response(
        descriptor, 206, Span(10, 5, 100), content_type="application/efi", etag='"x"', told=told.append
    )
    assert head(response)[:6] == [
        "HTTP/1.1 206 Partial Content",
        "Content-Type: application/efi",
        "Content-Length: 5",
        "Accept-Ranges: bytes",
        'ETag: "x"',
        "Content-Range: bytes 10-14/100",
    ]
    assert isinstance(response.file, FilePart)
    response.file.end(3)
    assert told == [3]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_no_content_has_no_length() -> None:
    """RFC 9110 section 8.6."""
    assert head(Response(status=204))[1:] == ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Server: netboot"]


@pytest.mark.parametrize(
    ("version", "keep", "last"),
    [
        ("HTTP/1.1", True, "Server: netboot"),
        ("HTTP/1.1", False, "Connection: close"),
        ("HTTP/1.0", True, "Connection: keep-alive"),
        ("HTTP/1.0", False, "Connection: close"),
    ],
)
def test_what_becomes_of_the_connection_is_told(version: str, keep: bool, last: str) -> None:
    lines = head(Response.of(""), version=version, keep=keep)
    assert lines[0] == f"{version} 200 OK"
    assert lines[-1] == last


@pytest.mark.parametrize(
    ("headers", "status", "span"),
    [
        ({}, 200, Span(0, 100, 100)),
        ({"range": "bytes=10-"}, 206, Span(10, 90, 100)),
        ({"range": "bytes=10-", "if-range": '"x"'}, 206, Span(10, 90, 100)),
        ({"range": "bytes=10-", "if-range": '"y"'}, 200, Span(0, 100, 100)),
        ({"range": "bytes=100-", "if-range": '"y"'}, 200, Span(0, 100, 100)),
        ({"if-match": "*"}, 200, Span(0, 100, 100)),
        ({"if-match": '"y", "x"'}, 200, Span(0, 100, 100)),
    ],
)
def test_which_part_is_meant(headers: dict[str, str], status: int, span: Span) -> None:
    assert span_for(headers, 100, '"x"') == (status, span)


@pytest.mark.parametrize(
    ("headers", "status", "extra"),
    [({"if-match": '"y"'}, 412, ()), ({"range": "bytes=100-"}, 416, (("Content-Range", "bytes */100"),))],
)
def test_a_part_that_cannot_be_given(headers: dict[str, str], status: int, extra: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Refused) as caught:
        span_for(headers, 100, '"x"')
    assert (caught.value.status, tuple(caught.value.headers)) == (status, extra)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("//boot//m//ipxe", {"mac": "m", "kind": "ipxe"}),
        ("/boot/m/debian/12/initrd.img", {"mac": "m", "image": "debian", "number": "12", "file": "initrd.img"}),
        ("/loader/a/autoexec.ipxe", {}),
        ("/loader/a/b.efi", {"name": "a/b.efi"}),
        ("/", {}),
    ],
)
def test_routes(path: str, names: dict[str, str]) -> None:
    assert find_route("GET", path)[1].groupdict() == names
    assert find_route("HEAD", path)[1].groupdict() == names


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("GET", "/boot/m/ipxe/", 404, ()),
        ("GET", "/boot/m/ipxe\n", 404, ()),
        ("GET", "/boot/m/debian/0/vmlinuz", 404, ()),
        ("GET", "", 404, ()),
        ("POST", "/", 405, (("Allow", "GET, HEAD"),)),
        ("PUT", "/boot/m/report", 405, (("Allow", "GET, HEAD, POST"),)),
    ],
)
def test_no_route(method: str, path: str, status: int, headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Refused) as caught:
        find_route(method, path)
    assert (caught.value.status, tuple(caught.value.headers)) == (status, headers)
