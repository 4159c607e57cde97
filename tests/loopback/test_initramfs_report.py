"""The client's reports, sent by the real shell core to a real HTTP server."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from netboot import initramfs

CORE = Path(initramfs.__file__).parent / "core.sh"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}


class Sink(ThreadingHTTPServer):
    """Takes reports as the boot listener does: 204 without a body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.taken: list[tuple[str, str, dict[str, list[str]]]] = []


class Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.server, Sink)
        self.server.taken.append((self.path, self.headers["Content-Type"], parse_qs(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def report(shell: str, folder: Path, port: int, words: str) -> int:
    (folder / "cmdline").write_text(f"boot=netboot netboot.report=http://127.0.0.1:{port}/boot/x/report\n")
    return subprocess.run(
        [*SHELLS[shell], "-c", f". {CORE}; nb_report {words}"],
        env={"PATH": os.environ["PATH"], "NB_CMDLINE": str(folder / "cmdline"), "NB_REPORT_TIMEOUT": "1"},
        timeout=30,
        check=False,
    ).returncode


@pytest.mark.parametrize("shell", SHELLS)
def test_a_report_arrives_as_a_form(shell: str, sink: Sink, tmp_path: Path) -> None:
    assert report(shell, tmp_path, sink.server_port, "root-failed attempt 5 message 'a & b' log \"$(seq 1 1200)\"") == 0
    ((path, kind, fields),) = sink.taken
    assert (path, kind) == ("/boot/x/report", "application/x-www-form-urlencoded")
    assert fields["kind"] == ["root-failed"]
    assert (fields["attempt"], fields["message"]) == (["5"], ["a & b"])
    assert fields["log"][0].splitlines() == [str(number) for number in range(1, 1201)]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_silent_server_holds_nobody_up(shell: str, tmp_path: Path) -> None:
    # It accepts connections (the kernel does) and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert report(shell, tmp_path, silent.getsockname()[1], "up") != 0
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("shell", SHELLS)
def test_a_server_that_is_away_fails_at_once(shell: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert report(shell, tmp_path, port, "up") != 0
