"""What other servers' replies tell, and what of it is told on."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.config import DhcpMode
from netboot.dhcp.frame import udp_datagram, udp_packet
from netboot.dhcp.message import DecodeError, Message, MessageType, Op, decode, encode
from netboot.dhcp.policy import Policy
from netboot.dhcp.rivals import Foreign, Rivals, foreign_reply
from netboot.model.event import Event
from tests.dhcp_kit import LAB, NOW, SERVER, macs, make_policy
from tests.kit import MAC

THEM = IPv4Address("10.9.0.2")
OWN, PROXY = make_policy(LAB), make_policy(LAB, mode=DhcpMode.PROXY)


def said(kind: MessageType = MessageType.OFFER, options: dict[int, bytes] | None = None, **fields: Any) -> Message:
    whole = {53: bytes((kind,)), 54: THEM.packed, **(options or {})}
    given = {"op": Op.REPLY, "chaddr": MAC.octets + bytes(10), "yiaddr": IPv4Address("10.9.0.150"), **fields}
    return Message(options=whole, **given)


MENU = bytes.fromhex("0601030807800001c0a8100a0904800001780a0200780000ff")


@pytest.mark.parametrize(
    ("message", "boot"),
    [
        (said(), ""),
        (said(siaddr=THEM), ""),  # most routers name themselves there
        (said(siaddr=THEM, file=b"pxelinux.0"), "the boot file pxelinux.0 of 10.9.0.2"),
        (said(MessageType.ACK, siaddr=THEM, file=b"pxelinux.0"), "the boot file pxelinux.0 of 10.9.0.2"),
        (said(options={66: b"deploy\0", 67: b"boot\\x64\0"}), "the boot file boot\\x64 of deploy"),
        (said(options={66: b"deploy"}), "the boot server deploy"),
        (said(options={60: b"PXEClient"}), "option 60 PXEClient"),
        (said(options={60: b"PXEClient", 43: MENU}), "option 60 PXEClient, PXE options in option 43"),
        (said(options={60: b"HTTPClient", 67: b"h://x"}), "the boot file h://x of that server, option 60 HTTPClient"),
        (said(options={43: MENU}), ""),  # without the class it may be any vendor's
        (said(options={67: b"\x1b[2Jx\xff"}), "the boot file ?[2Jx? of that server"),
        (said(siaddr=SERVER, file=b"ipxe/undionly.kpxe"), ""),  # an admin who sends them to us
        (said(options={66: b"10.9.0.1", 67: b"x"}), ""),
    ],
)  # fmt: skip
def test_what_other_servers_say(message: Message, boot: str) -> None:
    found = foreign_reply(message, THEM, PROXY)
    assert found == Foreign(server=THEM, mac=MAC, address=IPv4Address("10.9.0.150"), boot=boot)


@pytest.mark.parametrize(
    ("message", "source"),
    [
        (replace(said(), op=Op.REQUEST), THEM),
        (said(MessageType.NAK), THEM),
        (said(yiaddr=IPv4Address(0)), THEM),  # it neither lends nor boots
        (said(), SERVER),  # our own reply, by another card
        (said(options={54: SERVER.packed}), THEM),  # our own, by a relay
    ],
)
def test_what_is_no_rivals_reply(message: Message, source: IPv4Address) -> None:
    assert foreign_reply(message, source, OWN) is None


def heard(
    rivals: Rivals, message: Message, policy: Policy = PROXY, *, now: float = NOW, source: IPv4Address = THEM
) -> list[Event]:
    found = foreign_reply(message, source, policy)
    assert found is not None
    return rivals.hear(found, policy, now)


BOOTS = said(siaddr=THEM, file=b"pxelinux.0")


def test_a_server_is_told_of_once_an_hour_and_in_the_story_of_each_boot() -> None:
    rivals = Rivals()
    (event,) = heard(rivals, BOOTS)
    assert (event.kind.value, event.mac, event.details["server"]) == ("foreign-boot-server", None, "10.9.0.2")
    assert event.details["sent"] == "the boot file pxelinux.0 of 10.9.0.2"
    assert "boots from there" in str(event.details["meaning"])
    assert heard(rivals, BOOTS, now=NOW + 3000) == []
    rivals.note(MAC, NOW + 3000)
    (event,) = heard(rivals, BOOTS, now=NOW + 3001)
    assert event.mac == MAC
    assert heard(rivals, BOOTS, now=NOW + 3002) == []
    assert [each.mac for each in heard(rivals, BOOTS, now=NOW + 3010)] == [MAC]
    assert [each.mac for each in heard(rivals, BOOTS, now=NOW + 3700)] == [None]


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        (OWN, ["foreign-dhcp-server", "foreign-dhcp-server"]),
        (replace(OWN, authoritative=False), ["address-offered"]),
        (PROXY, ["address-offered"]),
    ],
)
def test_who_lends_addresses_is_a_rival_where_they_are_ours_to_lend(policy: Policy, kinds: list[str]) -> None:
    rivals = Rivals()
    rivals.note(MAC, NOW)
    events = heard(rivals, said(), policy)
    assert [each.kind.value for each in events] == kinds
    assert events[-1].mac == MAC
    assert events[-1].details["address"] == "10.9.0.150"


def test_an_ordinary_client_beside_a_proxy_is_no_news() -> None:
    assert heard(Rivals(), said()) == []


def test_a_flood_of_invented_servers_and_clients_is_bounded() -> None:
    rivals = Rivals()
    told = 0
    for number, mac in enumerate(macs(5000)):
        server = IPv4Address(int(IPv4Address("172.16.0.0")) + number)
        rivals.note(mac, NOW)
        message = replace(BOOTS, chaddr=mac.octets + bytes(10), options={**BOOTS.options, 54: server.packed})
        told += len(heard(rivals, message, now=NOW + number / 5000, source=server))
    assert told == 16 + 4096
    assert len(rivals._booting) == 4096


@given(st.binary(max_size=600))
def test_no_packet_breaks_the_listener(packet: bytes) -> None:
    if found := udp_datagram(packet):
        try:
            foreign_reply(decode(found[1]), found[0], OWN)
        except DecodeError:
            return


@given(st.dictionaries(st.integers(1, 254), st.binary(max_size=40)), st.binary(max_size=128))
def test_whatever_a_server_says_is_told_in_readable_words(options: dict[int, bytes], file: bytes) -> None:
    message = decode(encode(said(options={**options, 53: b"\2"}, file=file)))
    found = foreign_reply(message, THEM, PROXY)
    if found is not None:
        assert found.boot.isascii()
        assert found.boot.isprintable()
        assert len(found.boot) < 400


def test_a_datagram_is_read_out_of_its_packet() -> None:
    packet = udp_packet(b"hello", (THEM, 67), (IPv4Address("255.255.255.255"), 68))
    assert udp_datagram(packet) == (THEM, b"hello")
    assert udp_datagram(packet + b"padding of Ethernet") == (THEM, b"hello")
    for broken in (packet[:-1], packet[:27], b"", b"\x60" + packet[1:], packet[:6] + b"\x20\0" + packet[8:]):
        assert udp_datagram(broken) is None
