"""Whatever comes over a connection, in whatever pieces; and h11 as a second reader of the same bytes."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.web.refusal import Refused
from netboot.web.request import BODY_MAX_BYTES, HEAD_MAX_BYTES, Request, RequestReader

tokens = st.text("abcXYZ09-_!~", min_size=1, max_size=12)
values = st.text("".join(map(chr, range(0x20, 0x7F))), max_size=30)
paths = st.text("".join(map(chr, range(0x21, 0x7F))), max_size=40).map(lambda rest: f"/{rest}")
bodies = st.binary(max_size=200)
_TAKEN = {"host", "content-length", "transfer-encoding", "connection", "expect", "range", "if-range"}


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One well-formed request."""
    body = draw(bodies)
    fields = [f"{name}:{draw(st.sampled_from((' ', '', ' ' * 3)))}{value}" for name, value in draw(fields_of())]
    lines = [f"{draw(st.sampled_from(('GET', 'HEAD', 'POST', 'PUT')))} {draw(paths)} HTTP/1.1", "Host: x", *fields]
    if body or draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def fields_of() -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.tuples(tokens.filter(lambda name: name.lower() not in _TAKEN), values), max_size=6)


# Well-formed, or with a few bytes changed into ones that mean something here.
_TELLING = st.sampled_from(
    (b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"\0", b"\xff", b"HTTP/1.0", b"Host: y\r\n", b"%2")
)


@st.composite
def nearly(draw: st.DrawFn) -> bytes:
    data = draw(requests())
    for piece in draw(st.lists(_TELLING, max_size=3)):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + piece + data[at + draw(st.integers(0, 2)) :]
    return data


def read_all(pieces: list[bytes]) -> tuple[list[Request], int | None]:
    """The requests, and the status of the refusal that ended them."""
    reader, found = RequestReader(), []
    try:
        for piece in pieces:
            reader.feed(piece)
            while request := reader.next():
                found.append(request)
    except Refused as refused:
        return found, refused.status
    return found, None


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({each % (len(data) + 1) for each in at})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 5000), max_size=8))
def test_every_request_arrives_in_order_however_the_stream_is_cut(sent: list[bytes], at: list[int]) -> None:
    found, status = read_all(cut(b"".join(sent), at))
    assert status is None
    assert found == [read_all([each])[0][0] for each in sent]


@given(st.one_of(nearly(), st.binary(max_size=400)), st.lists(st.integers(0, 500), max_size=4))
def test_nonsense_is_refused_and_cutting_changes_nothing(data: bytes, at: list[int]) -> None:
    assert read_all(cut(data, at)) == read_all([data])


@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=12), st.sampled_from((b"", b"GET / HTTP/1.1\r\nA: ")))
def test_no_more_is_kept_than_a_request_has(pieces: list[bytes], begin: bytes) -> None:
    reader = RequestReader()
    reader.feed(begin)
    fed = len(begin)
    try:
        for piece in pieces:
            reader.feed(piece)
            fed += len(piece)
            while reader.next():
                fed = 0
            assert fed <= HEAD_MAX_BYTES + BODY_MAX_BYTES + len(piece)
    except Refused:
        pass


@settings(max_examples=400)
@given(st.one_of(requests(), nearly()))
def test_what_we_read_a_second_reader_reads_alike(data: bytes) -> None:
    """Never the other way round: what we refuse, others may accept; but no two may see different requests."""
    found, _ = read_all([data])
    if not found or "expect" in found[0].headers or "host" not in found[0].headers:
        return  # h11 insists on Host
    ours = found[0]
    second = h11.Connection(h11.SERVER)
    while data.startswith(b"\r\n"):  # RFC 9112 section 2.2 lets us pass them over
        data = data[2:]
    second.receive_data(data)
    try:
        theirs = second.next_event()
    except h11.RemoteProtocolError as error:
        pytest.fail(f"h11 refuses what we take: {error}")
    assert isinstance(theirs, h11.Request)
    assert (theirs.method.decode(), theirs.http_version.decode()) == (ours.method, ours.version[-3:])
    if "%" not in data.decode("latin-1"):
        path, _, query = theirs.target.decode().partition("?")
        assert (path, query) == (ours.path, ours.query)
    headers: dict[str, str] = {}
    for name, value in theirs.headers:
        key, said = name.decode(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {said}" if key in headers else said
    assert headers == dict(ours.headers)
    body = b""
    while isinstance(event := second.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == ours.body
