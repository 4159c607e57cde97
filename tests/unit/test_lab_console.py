from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.lab.console import Console, ConsoleTimeout, Transcript


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[Console, socket.socket]]:
    """A console, and the guest's end of its line."""
    near, far = socket.socketpair()
    console = Console(near, tmp_path / "log")
    yield console, far
    far.close()
    console.close()


def transcript(*chunks: bytes) -> Transcript:
    made = Transcript()
    for chunk in chunks:
        made.feed(chunk)
    return made


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([b"plain\r\nwords\r\n"], "plain\nwords\n"),
        ([b"\x1b[0;1miPXE\x1b[0m 1.0"], "iPXE 1.0"),
        ([b"a\x1b[", b"2", b"Jb"], "ab"),
        ([b"\x1b]0;title\x07root@lab-01:~# "], "root@lab-01:~# "),
        ([b"\x1b]0;ti", b"tle\x07x"], "x"),
        ([b"Gr\xc3", b"\xbc\xc3\x9fe"], "Grüße"),
        ([b"\xff\xfe ok"], "\ufffd\ufffd ok"),
        ([b"\x1b[?2004l\rdone\x1b[?2004h"], "done"),
        ([b"nul\0\0s"], "nuls"),
    ],
)
def test_terminal_control_is_taken_out_wherever_chunks_break(chunks: list[bytes], text: str) -> None:
    assert transcript(*chunks).text == text


def test_breaking_every_chunk_into_bytes_changes_nothing() -> None:
    data = b"\x1b[2J\x1b[01;01HBdsDxe: \x1b[1mloading\x1b[0m\r\n\xe2\x94\x80 Boot0001\r\n"
    assert transcript(*(bytes([each]) for each in data)).text == transcript(data).text


def test_a_prompt_that_the_kernel_cut_in_two_is_whole_without_it() -> None:
    said = transcript(
        b"\r\nlab-01 [   74.427093] ata3: SATA link down\r\n[   74.431529] ata2: SATA link down\r\nlogin: root\r\n"
    )
    assert said.of_programs == "\nlab-01 login: root\n"


def test_a_search_goes_on_behind_the_last_match() -> None:
    said = transcript(b"login: one\nlogin: two\n")
    words = re.compile(r"login: (\w+)")
    first, second = said.search(words), said.search(words)
    assert first and first.group(1) == "one"
    assert second and second.group(1) == "two"
    assert said.search(words) is None


def test_last_lines_leave_out_empty_ones() -> None:
    assert transcript(b"one\n\n two \n\nthree\n").last_lines(2) == " two\nthree"


def test_expect_waits_for_words_that_come_in_pieces(line: tuple[Console, socket.socket]) -> None:
    console, guest = line
    threading.Timer(0.05, guest.sendall, [b"lab-01 lo"]).start()
    threading.Timer(0.1, guest.sendall, [b"gin: "]).start()
    assert console.expect(r"^(\S+) login:", timeout_s=5).group(1) == "lab-01"


def test_expect_gives_up_with_the_last_words(line: tuple[Console, socket.socket]) -> None:
    console, guest = line
    guest.sendall(b"Kernel panic - not syncing\n")
    console.expect("panic", timeout_s=5)
    with pytest.raises(ConsoleTimeout, match=r"waited 0.1 s(.|\n)*Kernel panic"):
        console.expect("login:", timeout_s=0.1)


def test_expect_does_not_wait_for_a_machine_that_is_gone(line: tuple[Console, socket.socket]) -> None:
    console, guest = line
    guest.close()
    with pytest.raises(ConsoleTimeout, match="the machine is gone"):
        console.expect("login:", timeout_s=60)


def shell(guest: socket.socket, answer: bytes) -> None:
    """A terminal with a shell: echoes the line, wrapped as readline does, then carries out its echo commands."""
    typed = guest.recv(4096)
    label = typed.split(b'"')[1]
    guest.sendall(typed[:30] + b" \r" + typed[30:-1] + b"\r\n")
    guest.sendall(label + b"-begin\r\n" + answer + label + b"-end 3\r\nroot@lab-01:~# ")


@pytest.mark.parametrize("answer", [b"", b"one\r\ntwo\r\n", b"no newline at the end"])
def test_a_command_gives_its_output_and_status(line: tuple[Console, socket.socket], answer: bytes) -> None:
    console, guest = line
    threading.Thread(target=shell, args=(guest, answer)).start()
    output = console.command("false", timeout_s=5)
    assert (output.text, output.status) == (answer.decode().replace("\r", ""), 3)


def test_text_and_log_can_be_read_after_closing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"an earlier boot\r\n")
    near, far = socket.socketpair()
    console = Console(near, log)
    far.sendall(b"\x1b[1mlast words")
    console.expect("words", timeout_s=5)
    console.close()
    far.close()
    assert console.text == "last words"
    assert log.read_bytes() == b"an earlier boot\r\n\x1b[1mlast words"
