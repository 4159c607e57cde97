"""TFTP packets as values (RFC 1350 section 5, RFC 2347 section 2).

`decode` is total: it returns a packet or raises `PacketError`, whatever bytes came.  Names stay bytes, since
firmware sends what it likes; option names are lower case, since RFC 2347 compares them without regard to case.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from netboot.errors import InvalidInput


class Opcode(IntEnum):
    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(IntEnum):
    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    FULL = 3
    ILLEGAL = 4
    UNKNOWN_TID = 5
    OPTIONS = 8


class PacketError(InvalidInput):
    """The bytes are not a TFTP packet."""


@dataclass(frozen=True, slots=True)
class Request:
    """RRQ or WRQ.  `mode` is lower case."""

    opcode: Opcode
    name: bytes
    mode: bytes
    options: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Data:
    block: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    block: int


@dataclass(frozen=True, slots=True)
class Error:
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class OptionAck:
    options: Mapping[bytes, bytes]


Packet = Request | Data | Ack | Error | OptionAck

# Longest message we send: RFC 1350 sets no limit, old ROMs print it into a buffer of a packet's size.
_MESSAGE_MAX = 400


def decode(packet: bytes) -> Packet:
    """The packet in these bytes.  Raises `PacketError`."""
    if len(packet) < 4:
        raise PacketError("a TFTP packet has at least 4 bytes")
    opcode, number = struct.unpack_from("!HH", packet)
    match opcode:
        case Opcode.RRQ | Opcode.WRQ:
            return _request(Opcode(opcode), packet[2:])
        case Opcode.DATA:
            return Data(number, packet[4:])
        case Opcode.ACK:
            return Ack(number)
        case Opcode.ERROR:
            return Error(number, packet[4:].partition(b"\0")[0].decode("ascii", "backslashreplace"))
        case Opcode.OACK:
            return OptionAck(_options(packet[2:].split(b"\0")[:-1]))
    raise PacketError(f"TFTP has no opcode {opcode}")


_PACK_HEADER = struct.Struct("!HH").pack
_ACK = int(Opcode.ACK)


def ack(block: int) -> bytes:
    return _PACK_HEADER(_ACK, block & 0xFFFF)


def data(block: int, payload: bytes) -> bytes:
    return struct.pack("!HH", Opcode.DATA, block & 0xFFFF) + payload


def error(code: ErrorCode, message: str) -> bytes:
    """`message` is cut to printable ASCII, which every ROM can show."""
    plain = "".join(char if " " <= char <= "~" else "?" for char in message)[:_MESSAGE_MAX]
    return struct.pack("!HH", Opcode.ERROR, code) + plain.encode("ascii") + b"\0"


def option_ack(options: Iterable[tuple[bytes, bytes]]) -> bytes:
    return struct.pack("!H", Opcode.OACK) + b"".join(name + b"\0" + value + b"\0" for name, value in options)


def request(
    name: bytes, *, opcode: Opcode = Opcode.RRQ, mode: bytes = b"octet", options: Mapping[bytes, bytes] | None = None
) -> bytes:
    """What a client sends; for probes and tests."""
    words = [name, mode, *(word for pair in (options or {}).items() for word in pair)]
    return struct.pack("!H", opcode) + b"".join(word + b"\0" for word in words)


def printable(name: bytes) -> str:
    """A name for logs and pages: nothing in it can move a cursor or end a line."""
    return "".join(chr(octet) if 0x20 <= octet < 0x7F and octet != 0x5C else f"\\x{octet:02x}" for octet in name)


def _request(opcode: Opcode, body: bytes) -> Request:
    # What follows the last NUL is padding or a cut option; ROMs send both, neither means anything.
    name, *rest = body.split(b"\0")[:-1] or [b""]
    if not name or not rest:
        raise PacketError("a request needs a name and a mode, each ended by NUL")
    return Request(opcode, name, rest[0].lower(), _options(rest[1:]))


def _options(words: list[bytes]) -> dict[bytes, bytes]:
    """Name and value pairs; the first of two alike counts.  An empty name starts the padding of some ROMs."""
    options: dict[bytes, bytes] = {}
    for position in range(0, len(words), 2):
        name = words[position].lower()
        if not name:
            break
        if position + 1 == len(words):
            raise PacketError(f"option {printable(name)} has no value")
        options.setdefault(name, words[position + 1])
    return options
