"""TFTP's bytes, written by hand from RFC 1350 section 5 and RFC 2347 section 2."""

from __future__ import annotations

import pytest

from netboot.tftp.packet import (
    Ack,
    Data,
    Error,
    ErrorCode,
    Opcode,
    OptionAck,
    Packet,
    PacketError,
    Request,
    ack,
    decode,
    error,
    option_ack,
    printable,
)


@pytest.mark.parametrize(
    ("octets", "packet"),
    [
        (b"\0\x01pxelinux.0\0octet\0", Request(Opcode.RRQ, b"pxelinux.0", b"octet", {})),
        (b"\0\x02up\0NetASCII\0", Request(Opcode.WRQ, b"up", b"netascii", {})),
        (
            b"\0\x01a\0OCTET\0BLKSIZE\x001468\0TSize\x000\0",
            Request(Opcode.RRQ, b"a", b"octet", {b"blksize": b"1468", b"tsize": b"0"}),
        ),
        (b"\0\x01a\0octet\0x\x001\0x\x002\0", Request(Opcode.RRQ, b"a", b"octet", {b"x": b"1"})),
        # Padding after the last option, and an option that was cut: both seen from ROMs.
        (b"\0\x01a\0octet\0\0\0\0\0", Request(Opcode.RRQ, b"a", b"octet", {})),
        (b"\0\x01a\0octet\0tsize\x000\0garb", Request(Opcode.RRQ, b"a", b"octet", {b"tsize": b"0"})),
        (b"\0\x03\xff\xffabc", Data(65535, b"abc")),
        (b"\0\x03\0\x01", Data(1, b"")),
        (b"\0\x04\x01\x02", Ack(258)),
        (b"\0\x05\0\x08User aborted\0", Error(8, "User aborted")),
        (b"\0\x05\0\x01no\xff end", Error(1, "no\\xff end")),
        (b"\0\x06tsize\x0012\0", OptionAck({b"tsize": b"12"})),
    ],
)
def test_decode(octets: bytes, packet: Packet) -> None:
    assert decode(octets) == packet


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0",
        b"\0\x01",
        b"\0\x01\0octet\0",
        b"\0\x01name",
        b"\0\x01name\0",
        b"\0\x01name\0octet",
        b"\0\x01name\0octet\0blksize\0",
        b"\0\x07abcd",
        b"\x01\0abcd",
    ],
)
def test_what_is_no_packet(octets: bytes) -> None:
    with pytest.raises(PacketError):
        decode(octets)


def test_encode() -> None:
    assert ack(65537) == b"\0\x04\0\x01"
    assert error(ErrorCode.NOT_FOUND, "nö\n") == b"\0\x05\0\x01n??\0"
    assert len(error(ErrorCode.UNDEFINED, "x" * 9000)) < 512
    assert option_ack(((b"tsize", b"12"), (b"blksize", b"8"))) == b"\0\x06tsize\x0012\0blksize\x008\0"


def test_names_are_shown_without_harm() -> None:
    assert printable(b"a\x1b[2J\n\\\xff") == r"a\x1b[2J\x0a\x5c\xff"
