"""HTTP/1.1 as a protocol: order, versions, waiting, leaving, and clients that do none of it well."""

from __future__ import annotations

import os
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.model.event import EventKind
from netboot.web.app import BootApp
from netboot.web.listener import BootListener, _listening
from tests.kit import MAC
from tests.loopback.http_kit import LOCALHOST, Site, boot_site, exchange

SCRIPT = f"/boot/{MAC.dashed}/ipxe"
REPORT = f"/boot/{MAC.dashed}/report"
FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture
def site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    with boot_site(tmp_path) as running:
        yield running
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def connected(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port), timeout=10)


def asked(method: str, path: str, *fields: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *fields, "", ""]).encode()


def drained(sock: socket.socket) -> bytes:
    answer = b""
    while piece := sock.recv(1 << 20):
        answer += piece
    return answer


def descriptors_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    """One of them waits for an export, one brings a body, one has an answer that no socket takes at once."""
    site.export_s = 0.2
    wanted = (
        asked("GET", SCRIPT)
        + asked("HEAD", site.boot("vmlinuz"))
        + asked("POST", REPORT, FORM, "Content-Length: 7")
        + b"kind=up"
        + asked("GET", site.boot("initrd.img"))
        + asked("GET", site.boot("vmlinuz"), "Range: bytes=5-9")
        + asked("GET", "/nowhere")
        + asked("GET", "/", "Connection: close")
    )
    answer = exchange(site.port, wanted)
    initrd = (site.folder / "initrd.img").read_bytes()
    before, _, after = answer.partition(initrd)
    assert re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", before) == [b"200", b"200", b"204", b"200"]
    assert b"\r\n\r\n#!ipxe\n" in before
    ranged, _, rest = after.partition(b"\r\n\r\n" + site.kernel[5:10])
    assert ranged.startswith(b"HTTP/1.1 206 ")
    assert rest.startswith(b"HTTP/1.1 404 ")
    assert rest.endswith(b"\r\nConnection: close\r\n\r\nnetboot boot listener\n")
    assert site.wait_for(EventKind.UP).mac == MAC


def test_a_request_in_drops_is_one_request(site: Site) -> None:
    with connected(site) as sock:
        for octet in asked("GET", "/", "Connection: close"):
            sock.sendall(bytes((octet,)))
        assert drained(sock).endswith(b"netboot boot listener\n")


def test_a_client_of_http_1_0_is_spoken_to_in_it(site: Site) -> None:
    """lpxelinux and U-Boot's older wget, which reads until the connection closes."""
    answer = exchange(site.port, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    with connected(site) as sock:
        for _ in range(2):
            sock.sendall(asked("GET", "/", "Connection: keep-alive", version="1.0"))
            assert b"\r\nConnection: keep-alive\r\n" in sock.recv(4096)


def test_a_client_that_waits_to_send_its_body_is_told_to_go_on(site: Site) -> None:
    with connected(site) as sock:
        sock.sendall(asked("POST", REPORT, FORM, "Content-Length: 7", "Expect: 100-continue", "Connection: close"))
        assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"kind=up")
        assert drained(sock).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("fields", "status"),
    [(("Content-Length: 5000000",), b"413"), (("Transfer-Encoding: chunked",), b"411"), (("No field",), b"400")],
)
def test_who_is_refused_while_still_sending_can_read_why(site: Site, fields: tuple[str, ...], status: bytes) -> None:
    with connected(site) as sock:
        sock.sendall(asked("POST", REPORT, FORM, *fields) + b"x" * 1_000_000)
        answer = drained(sock)
    assert answer.startswith(b"HTTP/1.0 " + status + b" ")
    assert b"\r\nContent-Length: " in answer


def test_who_never_stops_sending_is_left(site: Site) -> None:
    began = time.monotonic()
    with connected(site) as sock, pytest.raises(OSError, match=r"reset|pipe|abort"):
        sock.sendall(b"nonsense\r\n\r\n")
        while time.monotonic() < began + 20:
            sock.sendall(b"x" * 1000)
            time.sleep(0.01)


def test_a_client_that_closed_its_side_gets_its_answer(site: Site) -> None:
    with connected(site) as sock:
        sock.sendall(asked("GET", site.boot("vmlinuz")))
        sock.shutdown(socket.SHUT_WR)
        assert drained(sock).endswith(site.kernel)


def test_others_are_answered_while_one_waits_and_nothing_is_left_when_it_goes(site: Site) -> None:
    exchange(site.port, asked("GET", "/", "Connection: close"))
    before = descriptors_open()
    site.export_s = 1.0
    waiting = [connected(site) for _ in range(8)]
    for sock in waiting:
        sock.sendall(asked("GET", site.boot("vmlinuz")))
    began = time.monotonic()
    assert exchange(site.port, asked("GET", "/", "Connection: close")).startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - began < 0.9
    for sock in waiting[:4]:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # gone with a reset
        sock.close()
    for sock in waiting[4:]:
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        sock.close()
    until = time.monotonic() + 10
    while (now := descriptors_open()) > before and time.monotonic() < until:
        time.sleep(0.05)
    assert now <= before


def test_a_client_that_comes_while_descriptors_are_out_is_served_later(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as sock:
        sock.settimeout(10)
        lowest = socket.socket()
        free = lowest.fileno()
        lowest.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            sock.connect(("127.0.0.1", site.port))
            sock.sendall(asked("GET", "/", "Connection: close"))
            until = time.monotonic() + 10
            while "no connection can be accepted" not in caplog.text and time.monotonic() < until:
                time.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert drained(sock).startswith(b"HTTP/1.1 200 ")
    assert "no connection can be accepted for a moment: Too many open files" in caplog.text


def test_a_file_that_becomes_shorter_is_cut_off(site: Site) -> None:
    with connected(site) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(asked("GET", site.boot("initrd.img")))
        size = len(sock.recv(1000))
        os.truncate(site.folder / "initrd.img", 1000)
        with suppress(ConnectionResetError):
            size += len(drained(sock))
    assert size < 16_000_000
    assert site.wait_for(EventKind.TRANSFER_FAILED).mac == MAC


def test_a_transfer_under_way_may_end_when_the_listener_stops(tmp_path: Path) -> None:
    got: list[bytes] = []
    with boot_site(tmp_path) as site:
        sock, idle = connected(site), connected(site)
        sock.sendall(asked("GET", site.boot("initrd.img")))
        begun = sock.recv(1000)
        reader = threading.Thread(target=lambda: got.append(drained(sock)))
        reader.start()
    reader.join(10)
    assert (begun + got[0]).endswith((tmp_path / "initrd.img").read_bytes()[-1_000_000:])
    assert idle.recv(1) == b""
    for each in (sock, idle):
        each.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", site.port))


def test_a_listener_that_does_not_run_has_no_port(site: Site) -> None:
    with pytest.raises(Unavailable):
        _ = BootListener(BootApp(site.services()).respond, LOCALHOST, 0).port


def test_each_connection_inherits_what_the_listening_socket_was_told() -> None:
    with _listening(LOCALHOST, 0) as listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
