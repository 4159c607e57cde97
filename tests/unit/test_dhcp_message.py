from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from netboot.dhcp.message import COOKIE, DecodeError, Message, MessageType, decode, encode, encoded_size

HEADER = struct.Struct("!BBBBIHHIIII16s64s128s")


def wire(
    options: bytes,
    *,
    op: int = 1,
    htype: int = 1,
    hlen: int = 6,
    sname: bytes = b"",
    file: bytes = b"",
    cookie: bytes = COOKIE,
) -> bytes:
    """A message written without our encoder."""
    mac = bytes.fromhex("525400000001")
    return HEADER.pack(op, htype, hlen, 2, 0xDEADBEEF, 3, 0x8000, 1, 2, 3, 4, mac, sname, file) + cookie + options


def test_every_header_field_is_read() -> None:
    message = decode(wire(b"\x35\x01\x01\xff", sname=b"host", file=b"name\0junk"))
    assert (message.op, message.htype, message.hlen, message.hops, message.secs) == (1, 1, 6, 2, 3)
    assert (message.xid, message.flags, message.broadcast) == (0xDEADBEEF, 0x8000, True)
    assert [int(each) for each in (message.ciaddr, message.yiaddr, message.siaddr, message.giaddr)] == [1, 2, 3, 4]
    assert (message.sname, message.file) == (b"host", b"name")
    assert str(message.mac) == "52:54:00:00:00:01"
    assert message.type is MessageType.DISCOVER


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "too short"),
        (wire(b"")[:239], "too short"),
        (wire(b"\xff", cookie=b"\x63\x82\x53\x64"), "cookie"),
        (wire(b"\xff", op=0), "opcode 0"),
        (wire(b"\xff", op=3), "opcode 3"),
        (wire(b"\xff", hlen=17), "address of 17"),
        (wire(b"\xff", htype=0), "hardware type 0"),
    ],
)
def test_what_is_no_dhcp_message_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode(data)


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (b"", {}),
        (b"\xff\x35\x01\x01", {}),
        (b"\0\0\x35\x01\x01\0\x0c\x01a\xff", {53: b"\1", 12: b"a"}),  # PAD before and between
        (b"\x35\x01\x01", {53: b"\1"}),  # no END
        (b"\x35\x01\x01\x0c", {53: b"\1"}),  # a code without its length
        (b"\x35\x01\x01\x0c\x05abc", {53: b"\1"}),  # runs past the end
        (b"\x0c\x02ab\x35\x01\x01\x0c\x01c\xff", {12: b"abc", 53: b"\1"}),  # RFC 3396
        (b"\x50\x00\xff", {80: b""}),
    ],
)
def test_options_are_read_as_far_as_they_go(options: bytes, read: dict[int, bytes]) -> None:
    assert decode(wire(options)).options == read


@pytest.mark.parametrize(
    ("areas", "read", "file", "sname"),
    [
        (1, {12: b"file"}, b"", b"\x0c\x05sname\xff"),
        (2, {12: b"sname"}, b"\x0c\x04file\xff", b""),
        (3, {12: b"filesname"}, b"", b""),  # RFC 2131 section 4.1: options, then file, then sname
        (4, {}, b"\x0c\x04file\xff", b"\x0c\x05sname\xff"),
    ],
)
def test_option_52_moves_options_into_the_header(areas: int, read: dict[int, bytes], file: bytes, sname: bytes) -> None:
    message = decode(wire(bytes((52, 1, areas, 255)), file=b"\x0c\x04file\xff", sname=b"\x0c\x05sname\xff"))
    assert (message.options, message.file, message.sname) == (read, file, sname)


def test_option_52_inside_of_the_overflow_means_nothing() -> None:
    message = decode(wire(b"\x34\x01\x01\xff", file=b"\x34\x01\x02\xff", sname=b"\x0c\x01a\xff"))
    assert message.options == {}
    assert message.sname == b"\x0c\x01a\xff"


@pytest.mark.parametrize(
    ("htype", "hlen", "chaddr", "mac"),
    [
        (1, 6, "525400000001", "52:54:00:00:00:01"),
        (6, 6, "525400000001", None),
        (32, 0, "", None),
        (1, 16, "525400000001", None),
        (1, 6, "015400000001", None),
        (1, 6, "ffffffffffff", None),
        (1, 6, "000000000000", None),
    ],
)
def test_only_the_address_of_one_ethernet_card_is_a_mac(htype: int, hlen: int, chaddr: str, mac: str | None) -> None:
    message = Message(htype=htype, hlen=hlen, chaddr=bytes.fromhex(chaddr).ljust(16, b"\0"))
    assert (str(message.mac) if message.mac else None) == mac


def test_a_type_that_we_do_not_speak_is_none() -> None:
    for raw in (b"", b"\x0a", b"\1\1", b"\0"):
        assert Message(options={53: raw}).type is None


def test_the_reply_is_padded_after_its_end() -> None:
    data = encode(Message(options={53: b"\2"}))
    assert len(data) == 300
    assert data[240:245] == b"\x35\x01\x02\xff\x00"


def test_relay_information_is_written_last_and_untouched() -> None:
    raw = bytes(range(200))
    data = encode(Message(options={82: raw, 53: b"\2", 61: b"\1a"}))
    assert data[240:].startswith(b"\x35\x01\x02\x3d\x02\x01a\x52\xc8" + raw + b"\xff")


@pytest.mark.parametrize("size", [255, 256, 510, 511, 600])
def test_long_values_are_split_into_neighbours_and_read_as_one(size: int) -> None:
    value = bytes(each % 251 for each in range(size))
    message = Message(options={53: b"\2", 224: value})
    data = encode(message)
    assert decode(data).options[224] == value
    assert encoded_size(message) == len(data.rstrip(b"\0"))
    assert max(len(piece) for piece in (value[at : at + 255] for at in range(0, size, 255))) <= 255


def test_a_field_that_is_too_long_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="longer than its field"):
        encode(Message(file=b"x" * 129))


def test_reading_back_gives_the_same_message() -> None:
    message = Message(
        op=2,
        xid=7,
        secs=1,
        flags=0x8000,
        yiaddr=IPv4Address("10.9.0.5"),
        chaddr=b"\x52" * 16,
        file=b"f",
        options={1: b"x"},
    )
    assert decode(encode(message)) == message
