"""Whole replies, byte for byte, against texts written by hand from the RFCs in tests/golden/dhcp."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.decision import Arrival
from netboot.dhcp.message import Message, MessageType, encode
from netboot.dhcp.policy import Policy
from tests.dhcp_kit import BOOT_PORT, IPXE, LAB, UEFI, arrival, discover, make_policy, packet, reply, selecting
from tests.kit import MAC

FOLDER = Path(__file__).parent / "dhcp"
RESERVED = replace(LAB, address=IPv4Address("10.9.0.7"))
OWN, PROXY = make_policy(RESERVED), make_policy(LAB, mode=DhcpMode.PROXY)
RELAY = IPv4Address("10.9.0.2")
CIRCUIT = {82: b"\x01\x04eth7"}


def read_bytes(name: str) -> bytes:
    """Hex digits with comments; `00*64` is a byte repeated.  Padded to 300 bytes as every reply is."""
    text = re.sub(r"#.*", "", (FOLDER / f"{name}.hex").read_text(encoding="utf-8"))
    text = re.sub(r"([0-9a-f]{2})\*(\d+)", lambda match: match.group(1) * int(match.group(2)), text)
    return bytes.fromhex(text).ljust(300, b"\0")


@pytest.mark.parametrize(
    ("name", "policy", "asked", "by"),
    [
        ("own-uefi-offer", OWN, discover(UEFI, flags=0x8000), arrival()),
        (
            "own-ipxe-ack",
            OWN,
            selecting("10.9.0.7", IPXE, giaddr=RELAY, more={**CIRCUIT, 61: b"\x01" + MAC.octets}),
            arrival(),
        ),
        ("proxy-uefi-offer", PROXY, discover(UEFI), arrival()),
        (
            "boot-server-ack",
            PROXY,
            packet(MessageType.REQUEST, UEFI, ciaddr=IPv4Address("10.9.0.100")),
            BOOT_PORT,
        ),
        (
            "relayed-nak",
            OWN,
            selecting("192.168.1.5", giaddr=RELAY, more={**CIRCUIT, 61: b"\xffid1"}),
            arrival(),
        ),
    ],
)
def test_a_reply_is_byte_for_byte_what_the_rfcs_say(name: str, policy: Policy, asked: Message, by: Arrival) -> None:
    assert encode(reply(asked, policy, by=by)).hex(" ", 4) == read_bytes(name).hex(" ", 4)


def test_every_text_is_used() -> None:
    marks = test_a_reply_is_byte_for_byte_what_the_rfcs_say.pytestmark  # type: ignore[attr-defined]
    assert {each.stem for each in FOLDER.glob("*.hex")} == {case[0] for case in marks[0].args[1]}
