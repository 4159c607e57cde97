"""Whoever opens connections and asks nothing cannot use up the daemon's descriptors; who asks slowly is served."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from netboot.web.idle import IdleRules
from tests.loopback.http_kit import Site, boot_site, exchange

RULES = IdleRules(limit_s=1.0, per_client=5, look_s=0.1)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with boot_site(tmp_path, idle_rules=RULES) as site:
        yield site


def connected(site: Site, said: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    sock.sendall(said)
    return sock


def is_closed(sock: socket.socket) -> bool:
    """Waits for up to 10 s until the server closes the connection or says something."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET / HT", GET, b"POST /boot/x/report HTTP/1.1\r\nHost"])
def test_half_a_request_is_not_waited_for(site: Site, said: bytes) -> None:
    began = time.monotonic()
    with connected(site, said) as sock:
        assert is_closed(sock)
    assert time.monotonic() - began >= RULES.limit_s


def test_an_address_has_its_share_and_the_longest_idle_go(tmp_path: Path) -> None:
    rules = IdleRules(limit_s=60.0, per_client=5, look_s=0.1)
    with boot_site(tmp_path, idle_rules=rules) as site, ExitStack() as closing:
        early = [closing.enter_context(connected(site, GET)) for _ in range(rules.per_client)]
        time.sleep(3 * rules.look_s)  # the server has seen them by its next look
        late = [closing.enter_context(connected(site, GET)) for _ in range(2)]
        until = time.monotonic() + 10
        while len(closed := select.select(early, [], [], 0.1)[0]) < len(late) and time.monotonic() < until:
            pass
        assert len(closed) == len(late)
        assert all(is_closed(sock) for sock in closed)
        assert select.select(late, [], [], 0)[0] == []
        assert exchange(site.port, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_slow_reader_gets_its_file(site: Site) -> None:
    with connected(site, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % site.boot("initrd.img").encode()) as sock:
        size = len(sock.recv(1000))
        time.sleep(2 * RULES.limit_s)  # as a loader that unpacks what it has
        while size < 16_000_000:
            size += len(sock.recv(1 << 20))


def test_a_connection_is_kept_between_requests(site: Site) -> None:
    with connected(site, b"") as sock:
        for _ in range(4):
            time.sleep(RULES.limit_s / 2)
            sock.sendall(GET + b"\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "said", [b"\x1b[31m\r\n\r\n", b"GET /\x1b HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"]
)
def test_nonsense_is_refused_without_a_word_in_the_log(
    site: Site, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert exchange(site.port, said).startswith(b"HTTP/1.0 400")
    assert caplog.records == []
