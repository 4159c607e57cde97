"""Reading HTTP requests: what firmware sends, what is refused, and the bounds."""

from __future__ import annotations

import pytest

from netboot.web.refusal import Refused
from netboot.web.request import BODY_MAX_BYTES, FIELDS_MAX, HEAD_MAX_BYTES, Request, RequestReader

EDK2 = (
    b"GET /loader/ipxe/snponly.efi HTTP/1.1\r\n"
    b"Host: 10.0.2.2:8080\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n"
)


def read(data: bytes) -> Request | None:
    reader = RequestReader()
    reader.feed(data)
    return reader.next()


def refused(data: bytes) -> int:
    with pytest.raises(Refused) as caught:
        read(data)
    assert caught.value.text.endswith("\n")
    return caught.value.status


def test_what_edk2_sends() -> None:
    request = read(EDK2)
    assert request is not None
    assert (request.method, request.path, request.version) == ("GET", "/loader/ipxe/snponly.efi", "HTTP/1.1")
    assert request.headers == {"host": "10.0.2.2:8080", "accept": "*/*", "user-agent": "UefiHttpBoot/1.0"}
    assert request.keeps_connection


@pytest.mark.parametrize(
    ("data", "path", "query"),
    [
        (b"GET /vmlinuz HTTP/1.0\r\n\r\n", "/vmlinuz", ""),  # U-Boot before it used lwIP
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "/", ""),
        (
            b"GET /boot/52%3a54/report?kind=up&message=a%20b HTTP/1.1\r\n\r\n",
            "/boot/52:54/report",
            "kind=up&message=a%20b",
        ),
        (b"GET http://10.0.2.2:8080/a/b?c HTTP/1.1\r\n\r\n", "/a/b", "c"),
        (b"GET HTTP://10.0.2.2 HTTP/1.1\r\n\r\n", "/", ""),
        (b"GET http://10.0.2.2?c HTTP/1.1\r\n\r\n", "/", "c"),
        (b"GET //a HTTP/1.1\r\n\r\n", "//a", ""),
        (b"GET /%ff%00 HTTP/1.1\r\n\r\n", "/\ufffd\0", ""),
    ],
)
def test_targets(data: bytes, path: str, query: str) -> None:
    request = read(data)
    assert request is not None
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize(
    ("version", "said", "keeps"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.1", "Connection: Upgrade, Close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: Keep-Alive\r\n", True),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", False),
    ],
)
def test_who_asks_again(version: str, said: str, keeps: bool) -> None:
    request = read(f"GET / HTTP/{version}\r\n{said}\r\n".encode())
    assert request is not None
    assert request.keeps_connection is keeps


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x1b[31m\r\n\r\n", 400),
        (b"GET /\x1b HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xe9 HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_MAX_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (BODY_MAX_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: money\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (FIELDS_MAX + 1) + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * HEAD_MAX_BYTES, 400),
        (b"a" * (HEAD_MAX_BYTES + 1), 400),
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    assert refused(data) == status


def test_nothing_is_read_after_what_was_refused() -> None:
    reader = RequestReader()
    reader.feed(b"nonsense\r\n\r\n" + EDK2)
    for _ in range(2):
        with pytest.raises(Refused):
            reader.next()
    assert reader.broken


def test_a_body_is_read_and_no_more() -> None:
    reader = RequestReader()
    reader.feed(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab")
    assert reader.next() is None
    reader.feed(b"c" + EDK2)
    first, second = reader.next(), reader.next()
    assert first is not None
    assert (first.path, first.body) == ("/a", b"abc")
    assert second == read(EDK2)
    assert not reader.pending
    assert reader.next() is None


@pytest.mark.parametrize(
    ("version", "body", "wanted"), [("1.1", b"", True), ("1.1", b"abc", False), ("1.0", b"", False)]
)
def test_a_client_that_waits_is_told_to_go_on_once(version: str, body: bytes, wanted: bool) -> None:
    reader = RequestReader()
    head = f"POST /a HTTP/{version}\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
    reader.feed(head.encode() + body)
    reader.next()
    assert [reader.take_continue(), reader.take_continue()] == [wanted, False]
