"""A client's serial console: everything it said, waiting for words, and typing.

A `Transcript` is pure: bytes in, plain text out, and a mark up to which it has been read.  A `Console` feeds one
from a socket in a thread of its own, since a guest stands still while nobody takes what it writes.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import shlex
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import Unavailable

# Terminal control: CSI sequences (colours, cursor), OSC titles, two-character escapes; and what is left of an
# unfinished one at the end of a chunk.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[78=>cDEHMNOZ])")
_UNFINISHED = re.compile(r"\x1b[^\x1b]{0,64}\Z")

# A message of the kernel, which goes to the line at once, also in the middle of what a program is writing.
_KERNEL = re.compile(r"\[ *\d+\.\d{6}\] [^\n]*\n")

# How often the text is searched for what is expected.  Not at each arrival: QEMU hands bytes over one by one.
_LOOK_S = 0.02


class ConsoleTimeout(Unavailable):
    """The console did not say what was waited for."""


class Transcript:
    """What a console said, without terminal control sequences."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._parts: list[str] = []
        self._mark = 0

    def feed(self, data: bytes) -> None:
        """Add a chunk; it may break anywhere."""
        text = _ESCAPE.sub("", self._pending + self._decoder.decode(data))
        unfinished = _UNFINISHED.search(text)
        self._pending = unfinished.group() if unfinished else ""
        whole = text[: unfinished.start()] if unfinished else text
        self._parts.append(whole.replace("\r", "").replace("\0", ""))

    @property
    def text(self) -> str:
        self._parts = ["".join(self._parts)]
        return self._parts[0]

    @property
    def of_programs(self) -> str:
        """The text with the kernel's messages taken out, so that the lines they cut in two are whole."""
        return _KERNEL.sub("", self.text)

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The next match after the mark, which then moves behind it."""
        found = pattern.search(self.text, self._mark)
        if found:
            self._mark = found.end()
        return found

    def last_lines(self, count: int) -> str:
        """The last lines that hold anything."""
        lines = [line.rstrip() for line in self.text.splitlines() if line.strip()]
        return "\n".join(lines[-count:])


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What a command on the console wrote, and its exit status."""

    text: str
    status: int


class Console:
    """The near end of a serial line; what arrives is also appended to the file `log`.  `close` ends the thread.

    QEMU could keep the file itself, but writes a character twice there when the line was full.
    """

    def __init__(self, line: socket.socket, log: Path) -> None:
        self._line = line
        self._log = log
        self._transcript = Transcript()
        self._lock = threading.Lock()
        self._hung_up = threading.Event()
        self._commands = 0
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """Everything said so far."""
        with self._lock:
            return self._transcript.text

    @property
    def text_of_programs(self) -> str:
        """What firmware and programs said so far, without the kernel's messages."""
        with self._lock:
            return self._transcript.of_programs

    def last_lines(self, count: int) -> str:
        with self._lock:
            return self._transcript.last_lines(count)

    def expect(self, pattern: str, *, timeout_s: float) -> re.Match[str]:
        """Wait until `pattern` (a regular expression, multi-line) is said after what was last expected."""
        wanted = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout_s
        while True:
            over = self._hung_up.is_set() or time.monotonic() >= deadline
            with self._lock:
                if found := self._transcript.search(wanted):
                    return found
                if over:
                    raise self._disappointed(pattern, timeout_s)
            self._hung_up.wait(_LOOK_S)

    def send(self, text: str) -> None:
        """Type a line."""
        self._line.sendall(text.encode() + b"\n")

    def command(self, command: str, *, timeout_s: float) -> CommandOutput:
        """Run a line at a shell's prompt and give what it wrote."""
        self._commands += 1
        # The quotes keep the echo of what we type apart from what the shell then prints, and `eval` keeps a
        # mistake in the command from swallowing the rest of the line.
        label = f"netboot-{self._commands}"
        self.send(f'echo "{label}"-begin; eval {shlex.quote(command)}; echo "{label}"-end $?')
        framed = rf"^{label}-begin\n((?s:.*?)){label}-end (\d+)\n"
        found = self.expect(framed, timeout_s=timeout_s)
        return CommandOutput(found.group(1), int(found.group(2)))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the machine hung up first
            self._line.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._line.close()

    def _disappointed(self, pattern: str, timeout_s: float) -> ConsoleTimeout:
        why = "the machine is gone" if self._hung_up.is_set() else f"waited {timeout_s:g} s"
        last = self._transcript.last_lines(10) or "nothing"
        return ConsoleTimeout(f"the console never said {pattern!r} ({why}); its last words were:\n{last}")

    def _read(self) -> None:
        # Without a pause: the line holds some 270 of QEMU's one-byte messages, and when it is full the guest waits.
        with self._log.open("ab", buffering=0) as log:
            while data := self._receive():
                log.write(data)
                with self._lock:
                    self._transcript.feed(data)
        self._hung_up.set()

    def _receive(self) -> bytes:
        try:
            return self._line.recv(65536)
        except OSError:  # the machine was ended with words of ours still on the line
            return b""
