"""Every file of the folder is replayed and ends as tests/captures/verdicts.py says; none is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.dhcp.message import DecodeError, Message, decode
from netboot.tftp import packet as tftp
from tests.captures.files import datagrams, names
from tests.captures.scapy_kit import TFTP
from tests.captures.verdicts import EXPECTED, verdicts


def test_no_file_is_left_out(captures: Path) -> None:
    assert names(captures) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_becomes_of_a_file(name: str, captures: Path) -> None:
    assert verdicts(datagrams(captures / name)) == EXPECTED[name]


def test_a_damaged_packet_with_its_cookie_mended_is_read_too(captures: Path) -> None:
    """Fuzzers leave the cookie out, and with it all that lies behind; here it is put back."""
    read: list[Message] = []
    for name in names(captures):
        for datagram in datagrams(captures / name)[:300]:
            octets = datagram.payload
            mended = b"\x01\x01\x06\x00" + octets[4:236] + b"\x63\x82\x53\x63" + octets[240:]
            try:
                read.append(decode(mended))
            except DecodeError:
                assert len(octets) < 240, name
    assert len(read) > 500
    assert sum(each.type is None for each in read) > 20


def test_we_and_scapy_read_the_same_tftp(captures: Path) -> None:
    read = 0
    for name in names(captures):
        for datagram in datagrams(captures / name):
            if datagram.is_dhcp or datagram.is_dhcp6:
                continue
            try:
                ours = tftp.decode(datagram.payload)
            except tftp.PacketError:
                continue
            theirs = TFTP(datagram.payload)
            match ours:
                case tftp.Request(opcode, file, mode):
                    assert (theirs.op, theirs.filename, theirs.mode.lower()) == (opcode, file, mode), name
                case tftp.Data(block, payload):
                    assert (theirs.op, theirs.block, bytes(theirs.payload.payload)) == (3, block, payload), name
                case tftp.Ack(block):
                    assert (theirs.op, theirs.block) == (4, block), name
                case other:
                    raise AssertionError(f"{name}: {other}")
            read += 1
    assert read > 300
