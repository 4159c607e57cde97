"""What relays ask for: the subnet, the identity, the way back; and that option 82 goes back as it came."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from netboot.dhcp.decision import Reply
from netboot.dhcp.destination import Destination, destination
from netboot.dhcp.message import MessageType, decode, encode
from tests.dhcp_kit import NOW, SERVER, Edge, Raw, arrival, ask, discover, make_policy, packet, reply, selecting
from tests.kit import MAC

GIADDR = IPv4Address("10.9.0.2")
CIRCUIT = b"\x01\x04eth7\x02\x03abc"
OVERRIDE = b"\x0b\x04\x0a\x09\x00\x02"


def relayed(more: Raw) -> Raw:
    return reply(discover(more=more, giaddr=GIADDR), make_policy()).options


@pytest.mark.parametrize(
    "info", [CIRCUIT, b"\x01\xff", b"\x05", b"\x98\x00", CIRCUIT + b"\x05\x04\x0a\x09\x00\x05", bytes(255)]
)
def test_option_82_goes_back_byte_for_byte_as_the_last_option(info: bytes) -> None:
    policy = make_policy()
    offer = reply(discover(more={82: info, 61: b"\xffid"}, giaddr=GIADDR), policy)
    nak = reply(selecting("192.168.1.5", more={82: info}, giaddr=GIADDR), policy)
    for message in (offer, nak):
        wire = encode(message)
        end = wire.rindex(info + b"\xff") if info.strip(b"\0") else 240 + len(wire[240:].rstrip(b"\0")) - 1 - len(info)
        assert wire[end - 2 :].startswith(bytes((82, len(info))) + info + b"\xff")
        assert decode(wire).options[82] == info
    assert 82 not in reply(discover(), policy).options


@pytest.mark.parametrize(
    ("more", "giaddr", "served"),
    [
        ({}, "0.0.0.0", True),
        ({}, "10.9.0.2", True),
        ({}, "10.8.0.2", False),
        ({82: b"\x05\x04\x0a\x09\x00\x00"}, "10.8.0.2", True),  # RFC 3527: the link is ours, the relay's address is not
        ({82: b"\x05\x04\x0a\x08\x00\x00"}, "10.9.0.2", False),
        ({118: b"\x0a\x09\x00\x00"}, "10.8.0.2", True),  # RFC 3011
        ({118: b"\x0a\x08\x00\x00"}, "0.0.0.0", False),
        ({118: b"\x0a\x08\x00\x00", 82: b"\x05\x04\x0a\x09\x00\x00"}, "10.8.0.2", True),  # 82.5 wins
        ({82: b"\x05\x03\x0a\x09\x00"}, "10.9.0.2", True),
    ],
)
def test_which_network_a_packet_is_about(more: Raw, giaddr: str, served: bool) -> None:
    """A network that is none of ours gets silence, and its address is told to the admin."""
    edge = Edge(make_policy())
    offers = edge.take(discover(more=more, giaddr=IPv4Address(giaddr)))
    assert [decode(each.payload).giaddr for each in offers] == [IPv4Address(giaddr)] * served
    assert len(edge.batch.strangers) == (not served)


def test_a_relay_may_stand_in_for_the_server() -> None:
    assert relayed({82: OVERRIDE})[54] == GIADDR.packed
    assert relayed({82: CIRCUIT})[54] == SERVER.packed
    taken = reply(selecting("10.9.0.105", server=GIADDR, more={82: OVERRIDE}, giaddr=GIADDR), make_policy())
    assert (taken.type, taken.options[54]) == (MessageType.ACK, GIADDR.packed)


def test_a_relayed_client_is_not_probed_by_arp_and_its_nak_is_broadcast_by_the_relay() -> None:
    nak = reply(selecting("192.168.1.5", giaddr=GIADDR), make_policy())
    assert nak.broadcast
    assert not reply(selecting("192.168.1.5"), make_policy()).broadcast


BCAST, YIADDR = "255.255.255.255", "10.9.0.105"
ACK, NAK, OFFER = MessageType.ACK, MessageType.NAK, MessageType.OFFER
DISCOVER, REQUEST, INFORM = MessageType.DISCOVER, MessageType.REQUEST, MessageType.INFORM


@pytest.mark.parametrize(
    ("asked", "answered", "giaddr", "ciaddr", "broadcast", "to", "to_mac"),
    [
        (DISCOVER, OFFER, "10.9.0.2", "0.0.0.0", False, ("10.9.0.2", 67), False),
        (DISCOVER, OFFER, "10.9.0.2", "0.0.0.0", True, ("10.9.0.2", 67), False),
        (REQUEST, ACK, "10.9.0.2", "10.9.0.105", False, ("10.9.0.2", 67), False),
        (REQUEST, NAK, "10.9.0.2", "0.0.0.0", True, ("10.9.0.2", 67), False),
        (REQUEST, NAK, "0.0.0.0", "0.0.0.0", False, (BCAST, 68), False),
        (REQUEST, NAK, "0.0.0.0", "10.9.0.105", False, (BCAST, 68), False),
        (REQUEST, ACK, "0.0.0.0", "10.9.0.105", True, ("10.9.0.105", 68), False),
        (REQUEST, ACK, "0.0.0.0", "10.9.0.105", False, ("10.9.0.105", 68), False),
        (DISCOVER, OFFER, "0.0.0.0", "0.0.0.0", True, (BCAST, 68), False),
        (REQUEST, ACK, "0.0.0.0", "0.0.0.0", True, (BCAST, 68), False),
        (DISCOVER, OFFER, "0.0.0.0", "0.0.0.0", False, (YIADDR, 68), True),
        (REQUEST, ACK, "0.0.0.0", "0.0.0.0", False, (YIADDR, 68), True),
        (INFORM, ACK, "10.9.0.2", "10.9.0.50", False, ("10.9.0.50", 68), False),
        (INFORM, ACK, "0.0.0.0", "10.9.0.50", False, ("10.9.0.50", 68), False),
        (INFORM, ACK, "10.9.0.2", "0.0.0.0", True, ("10.9.0.2", 67), False),
        (INFORM, ACK, "0.0.0.0", "0.0.0.0", False, ("10.9.0.77", 68), False),
    ],
)  # fmt: skip
def test_where_a_reply_goes(
    asked: MessageType,
    answered: MessageType,
    giaddr: str,
    ciaddr: str,
    broadcast: bool,
    to: tuple[str, int],
    to_mac: bool,
) -> None:
    flags = 0x8000 if broadcast else 0
    request = packet(asked, giaddr=IPv4Address(giaddr), ciaddr=IPv4Address(ciaddr), flags=flags)
    yiaddr = "0.0.0.0" if asked is INFORM or answered is NAK else YIADDR
    answer = packet(answered, op=2, yiaddr=IPv4Address(yiaddr), flags=flags)
    goes = destination(request, answer, arrival(source=("10.9.0.77", 68)))
    assert goes == Destination(IPv4Address(to[0]), to[1], MAC if to_mac else None, answers_arp=not to_mac)


def test_a_relay_that_listens_on_another_port_is_answered_there() -> None:
    request = discover(more={82: CIRCUIT + b"\x13\x00"}, giaddr=GIADDR)
    decision = ask(request, make_policy(), now=NOW)
    assert isinstance(decision, Reply)
    goes = destination(request, decision.message, arrival(source=("10.9.0.2", 40000)))
    assert goes == Destination(GIADDR, 40000)


def test_port_4011_answers_to_where_it_was_asked_from() -> None:
    request = packet(REQUEST, ciaddr=IPv4Address("10.9.0.50"), giaddr=GIADDR)
    goes = destination(request, packet(ACK, op=2), arrival(port=4011, source=("10.9.0.50", 4011)))
    assert goes == Destination(IPv4Address("10.9.0.50"), 4011)
