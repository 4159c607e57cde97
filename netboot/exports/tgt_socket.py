"""What tgtd is asked, on its management socket.

Debian's tgtadm takes passwords as arguments, which every user of the server can read in /proc, and tgt-admin only calls
tgtadm.  So requests go to the socket directly, as tgtadm's own do: struct tgtadm_req and struct tgtadm_rsp of tgt's
usr/tgtadm.h, in the machine's byte order.  One connection a request.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from netboot.errors import NetbootError, Unavailable

# mode, op, driver, length of all, target, session, LUN, connection, host, device type, account's direction, pack, force
_REQUEST = struct.Struct("=II64sIiQQIIIIII")
_RESPONSE = struct.Struct("=II")
_DRIVER = b"iscsi"
# struct ucred
_PEER = struct.Struct("=3i")

# What tgtd takes of text in one request, and what of a path it passes on.
_MOST_TEXT = 8 * 1024
_LONGEST_PATH = 1023
# What tgtd is told to call its socket in the folder that it works in; it adds its control port, 0.
SOCKET = "tgt"

_TIMEOUT_S = 30.0

ALL_TARGETS = -1


class Mode(IntEnum):
    TARGET = 1
    DEVICE = 2
    CONNECTION = 6
    ACCOUNT = 7


class Op(IntEnum):
    NEW = 0
    DELETE = 1
    SHOW = 2
    BIND = 3
    UNBIND = 4
    UPDATE = 5


# enum tgtadm_errno, as far as what we ask can end so.
_ERRORS = {
    1: "unknown error",
    2: "out of memory",
    4: "no such target",
    5: "no such LUN",
    9: "the target is there already",
    10: "the LUN is there already",
    12: "it is admitted already",
    13: "it is not admitted",
    14: "the account is there already",
    15: "no such account",
    17: "invalid request",
    19: "the target is in use",
    20: "the LUN is in use",
}
TARGET_ACTIVE = 19


class TgtRefused(NetbootError):
    """tgtd did not do what it was asked; `code` is its enum tgtadm_errno."""

    def __init__(self, asked: str, code: int) -> None:
        super().__init__(
            f"tgtd refused to {asked}: {_ERRORS.get(code, f'error {code}')}",
            hint="see its log, tgtd.log in the folder run",
        )
        self.code = code


def encode(mode: Mode, op: Op, *, target: int, lun: int = 0, text: str = "") -> bytes:
    """One request; `text` is what tgtadm would make of its other options."""
    words = text.encode() + b"\0" if text else b""
    if len(words) > _MOST_TEXT:
        raise ValueError("tgtd takes no request of this length")
    length = _REQUEST.size + len(words)
    return _REQUEST.pack(mode, op, _DRIVER, length, target, 0, lun, 0, 0, 0, 0, 0, 0) + words


def check_file(path: Path) -> None:
    """`Unavailable` for a file that tgtd cannot serve: it divides its requests by commas."""
    if "," in str(path) or len(str(path)) > _LONGEST_PATH:
        raise Unavailable(f"tgtd cannot serve {path}", hint="take a data directory with a shorter name and no comma")
    if not path.exists():
        raise Unavailable(f"{path}, which shall be served, is not there", hint="netboot image fsck")


class TgtSocket:
    """The management socket of a tgtd that works in `folder` and calls it `SOCKET`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / f"{SOCKET}.0"

    def server(self) -> int | None:
        """The process that listens at the socket."""
        try:
            with self._connected() as connection:
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        except OSError:
            return None
        return int(_PEER.unpack(peer)[0])

    def ask(self, asked: str, mode: Mode, op: Op, *, target: int = 0, lun: int = 0, text: str = "") -> str:
        """Send one request and give the answer's text; `asked` says in words what it is, without secrets.

        Raises `TgtRefused` with tgtd's reason, `Unavailable` when it does not answer.
        """
        try:
            with self._connected() as connection:
                connection.sendall(encode(mode, op, target=target, lun=lun, text=text))
                code, length = _RESPONSE.unpack(_receive(connection, _RESPONSE.size))
                said = _receive(connection, length - _RESPONSE.size) if not code else b""
        except (OSError, EOFError) as error:
            raise Unavailable(f"tgtd does not answer at {self.path}: {error}", hint="see tgtd.log beside it") from error
        if code:
            raise TgtRefused(asked, code)
        return said.rstrip(b"\0").decode(errors="replace")

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        """By way of the folder's descriptor: a socket's name has 107 characters at most, a data directory's more."""
        folder = os.open(self._folder, os.O_PATH | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_TIMEOUT_S)
                connection.connect(f"/proc/self/fd/{folder}/{self.path.name}")
                yield connection
        finally:
            os.close(folder)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise EOFError("it closed the connection")
        received += part
    return bytes(received)
