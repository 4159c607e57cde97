"""The DHCP message on the wire (RFC 2131 section 2) as a frozen value, and back.

Reading is forgiving where real firmware is sloppy and never does more than raise `DecodeError`: PADs anywhere,
a missing END and an option that runs past the end cost what follows, not the packet.  A code that occurs several
times is one long option (RFC 3396), and options that overflowed into `file` and `sname` (option 52) are read in
that order.  Writing never overflows into those fields: GRUB and shim lose the boot file when it does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from netboot.dhcp.area import END, options_size, read_options, write_option
from netboot.model.mac import MacAddress

ZERO = IPv4Address(0)
COOKIE = b"\x63\x82\x53\x63"
BROADCAST_BIT = 0x8000
ETHERNET = 1

_HEADER = struct.Struct("!BBBBIHHIIII16s64s128s")
OPTIONS_AT = _HEADER.size + len(COOKIE)
# RFC 1542 section 2.1: BOOTP relays and old clients drop what is shorter than a BOOTP message.
_MIN_SIZE = 300
OVERLOAD, _TYPE, _RELAY = 52, 53, 82
_IN_FILE, _IN_SNAME = 1, 2


class DecodeError(Exception):
    """The bytes are no DHCP message; the text says why."""


class Op(IntEnum):
    REQUEST = 1
    REPLY = 2


class MessageType(IntEnum):
    """Option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


_TYPES: Mapping[bytes, MessageType] = {bytes((each,)): each for each in MessageType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message.  `chaddr` keeps all 16 bytes; `sname` and `file` end before their first NUL.

    `options` holds each code once, in the order of the wire, without PAD, END and option 52.
    """

    op: int = Op.REQUEST
    htype: int = ETHERNET
    hlen: int = 6
    hops: int = 0
    xid: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = ZERO
    yiaddr: IPv4Address = ZERO
    siaddr: IPv4Address = ZERO
    giaddr: IPv4Address = ZERO
    chaddr: bytes = bytes(16)
    sname: bytes = b""
    file: bytes = b""
    options: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def type(self) -> MessageType | None:
        """None for BOOTP, and for types that we do not speak (lease query, forced renew)."""
        return _TYPES.get(self.options.get(_TYPE, b""))

    @property
    def broadcast(self) -> bool:
        """Whether the client cannot receive unicast before it has its address."""
        return bool(self.flags & BROADCAST_BIT)

    @property
    def mac(self) -> MacAddress | None:
        """The client's Ethernet address; None for other hardware, group addresses and all zeros."""
        octets = self.chaddr[:6]
        if self.htype != ETHERNET or self.hlen != 6 or octets[0] & 1 or not any(octets):
            return None
        return MacAddress(octets)


def decode(data: bytes) -> Message:
    """Read one UDP payload.  Raises `DecodeError` alone."""
    if len(data) < OPTIONS_AT:
        raise DecodeError(f"{len(data)} bytes are too short for a DHCP message")
    if data[_HEADER.size : OPTIONS_AT] != COOKIE:
        raise DecodeError("no DHCP magic cookie")
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file = _HEADER.unpack_from(
        data
    )
    if op not in (Op.REQUEST, Op.REPLY):
        raise DecodeError(f"opcode {op} is unknown")
    if hlen > 16 or (htype == 0 and hlen > 0):
        raise DecodeError(f"hardware type {htype} with an address of {hlen} bytes")
    options: dict[int, bytes] = {}
    read_options(data, OPTIONS_AT, options)
    if OVERLOAD in options:
        file, sname = _read_overload(options, file, sname)
    return Message(
        op=op,
        htype=htype,
        hlen=hlen,
        hops=hops,
        xid=xid,
        secs=secs,
        flags=flags,
        ciaddr=IPv4Address(ciaddr) if ciaddr else ZERO,
        yiaddr=IPv4Address(yiaddr) if yiaddr else ZERO,
        siaddr=IPv4Address(siaddr) if siaddr else ZERO,
        giaddr=IPv4Address(giaddr) if giaddr else ZERO,
        chaddr=chaddr,
        sname=sname.partition(b"\0")[0],
        file=file.partition(b"\0")[0],
        options=options,
    )


def encode(message: Message) -> bytes:
    """The UDP payload, padded after END to what BOOTP relays accept.

    Options keep their order, but relay agent information stands last (RFC 3046 section 2.1).
    Raises ValueError when `sname` or `file` does not fit its field: that is the caller's mistake.
    """
    if len(message.sname) > 64 or len(message.file) > 128:
        raise ValueError("sname or file is longer than its field")
    parts = [
        _HEADER.pack(
            message.op,
            message.htype,
            message.hlen,
            message.hops,
            message.xid,
            message.secs,
            message.flags,
            int(message.ciaddr),
            int(message.yiaddr),
            int(message.siaddr),
            int(message.giaddr),
            message.chaddr,
            message.sname,
            message.file,
        ),
        COOKIE,
    ]
    relay = message.options.get(_RELAY)
    for code, value in message.options.items():
        if code != _RELAY:
            write_option(code, value, parts)
    if relay is not None:
        write_option(_RELAY, relay, parts)
    parts.append(bytes((END,)))
    return b"".join(parts).ljust(_MIN_SIZE, b"\0")


def encoded_size(message: Message) -> int:
    """The bytes up to and with END; padding may follow."""
    return OPTIONS_AT + 1 + options_size(list(message.options.values()))


def _read_overload(options: dict[int, bytes], file: bytes, sname: bytes) -> tuple[bytes, bytes]:
    """Read what option 52 moved into `file`, then `sname`; return what is left of the two as fields."""
    value = options.pop(OVERLOAD)
    areas = value[0] if len(value) == 1 and value[0] <= 3 else 0
    if areas & _IN_FILE:
        read_options(file, 0, options)
    if areas & _IN_SNAME:
        read_options(sname, 0, options)
    options.pop(OVERLOAD, None)  # one inside of the overflow has no meaning
    return b"" if areas & _IN_FILE else file, b"" if areas & _IN_SNAME else sname
