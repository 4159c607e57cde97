"""REQUEST in its four states: who gets an ACK, a NAK, or silence."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.dhcp.decision import Arrival, Reply
from netboot.dhcp.message import ZERO, Message, MessageType
from netboot.model.lease import Lease, LeaseState
from tests.dhcp_kit import (
    LAB,
    NOW,
    SERVER,
    UNICAST,
    active,
    arrival,
    ask,
    discover,
    extending,
    holder,
    make_policy,
    packet,
    rebooting,
    reply,
    selecting,
    silence,
)
from tests.kit import MAC, OTHER_MAC

MINE, FREE, THEIRS = "10.9.0.100", "10.9.0.101", "10.9.0.102"
HELD = (active(MINE), active(THEIRS, OTHER_MAC))
BROADCAST = arrival()
DECLINED = Lease(address=IPv4Address(FREE), mac=OTHER_MAC, state=LeaseState.DECLINED, expires_at=NOW + 9)


def outcome(message: Message, *leases: Lease, by: Arrival = BROADCAST, authoritative: bool = True) -> str:
    decision = ask(message, make_policy(leases=leases, authoritative=authoritative), by=by)
    if not isinstance(decision, Reply):
        return "silence"
    assert decision.message.type is not None
    return decision.message.type.name


@pytest.mark.parametrize(
    ("message", "leases", "expected"),
    [
        (selecting(MINE), HELD, "ACK"),
        (selecting(FREE), HELD, "ACK"),
        (selecting(FREE), (), "ACK"),  # an offer that we forgot by a restart
        (selecting(THEIRS), HELD, "NAK"),
        (selecting(FREE), (DECLINED,), "NAK"),
        (selecting("10.9.0.50"), (), "NAK"),  # outside of the pool
        (selecting("10.9.0.1"), (), "NAK"),
        (selecting("192.168.1.5"), (), "NAK"),
        (selecting(FREE, server=IPv4Address("10.9.0.99")), HELD, "silence"),
        (packet(MessageType.REQUEST, {54: SERVER.packed}), HELD, "silence"),
        (packet(MessageType.REQUEST, {54: SERVER.packed, 50: b"\x0a"}), HELD, "silence"),
    ],
)
def test_selecting(message: Message, leases: tuple[Lease, ...], expected: str) -> None:
    assert outcome(message, *leases) == expected


@pytest.mark.parametrize(
    ("message", "leases", "authoritative", "expected"),
    [
        (rebooting(MINE), HELD, True, "ACK"),
        (rebooting(MINE), HELD, False, "ACK"),
        (rebooting(FREE), HELD, True, "NAK"),  # it has another one
        (rebooting(FREE), HELD, False, "NAK"),
        (rebooting("192.168.1.5"), HELD, True, "NAK"),
        (rebooting("192.168.1.5"), (), False, "NAK"),  # wrong for this link, whoever lent it
        (rebooting(FREE), (), True, "ACK"),  # we lost our leases
        (rebooting(FREE), (), False, "silence"),
        (rebooting(THEIRS), HELD[1:], True, "NAK"),
        (rebooting(THEIRS), HELD[1:], False, "silence"),
        (packet(MessageType.REQUEST), HELD, True, "silence"),
        (packet(MessageType.REQUEST, {50: b"\x0a\x09"}), HELD, True, "silence"),
    ],
)
def test_rebooting(message: Message, leases: tuple[Lease, ...], authoritative: bool, expected: str) -> None:
    assert outcome(message, *leases, authoritative=authoritative) == expected


@pytest.mark.parametrize(
    ("address", "leases", "by", "authoritative", "expected"),
    [
        (MINE, HELD, UNICAST, True, "ACK"),
        (MINE, HELD, BROADCAST, False, "ACK"),
        (FREE, (), UNICAST, True, "ACK"),  # we lost our leases; the address is free
        (FREE, (), BROADCAST, True, "ACK"),
        (FREE, (), BROADCAST, False, "silence"),  # may be another server's
        (THEIRS, HELD, BROADCAST, True, "NAK"),
        (THEIRS, HELD, UNICAST, True, "NAK"),
        (THEIRS, HELD, BROADCAST, False, "silence"),
        ("192.168.1.5", (), BROADCAST, True, "NAK"),
        ("192.168.1.5", (), UNICAST, True, "silence"),
        (MINE, (active(MINE, until=NOW - 1),), BROADCAST, True, "ACK"),
    ],
)
def test_extending(address: str, leases: tuple[Lease, ...], by: Arrival, authoritative: bool, expected: str) -> None:
    assert outcome(extending(address), *leases, by=by, authoritative=authoritative) == expected


def test_a_renewal_extends_the_lease_and_copies_ciaddr() -> None:
    policy = make_policy(leases=HELD)
    decision = ask(extending(MINE), policy, now=NOW + 500, by=UNICAST)
    assert isinstance(decision, Reply)
    assert (str(decision.message.ciaddr), str(decision.message.yiaddr)) == (MINE, MINE)
    assert [each.expires_at for each in decision.leases] == [NOW + 500 + 3600]


def test_a_running_machine_keeps_its_address_when_its_reservation_moves() -> None:
    moved = replace(LAB, address=IPv4Address("10.9.0.7"))
    for message in (extending(MINE), rebooting(MINE)):
        assert str(reply(message, make_policy(moved, leases=HELD)).yiaddr) == MINE
    taken_over = make_policy(replace(LAB, mac=OTHER_MAC, address=IPv4Address(MINE)), leases=HELD)
    assert str(reply(extending(MINE), taken_over).yiaddr) == MINE


def test_another_servers_offer_ends_our_hold() -> None:
    policy = make_policy()
    offered = reply(discover(), policy).yiaddr
    assert holder(policy.leases, offered, NOW) == MAC
    silence(selecting("10.9.0.30", server=IPv4Address("10.9.0.99")), policy)
    assert holder(policy.leases, offered, NOW) is None


def test_a_nak_carries_nothing_but_what_it_must() -> None:
    asked = selecting("192.168.1.5", more={61: b"\xffid"}, flags=0)
    decision = ask(asked, make_policy())
    assert isinstance(decision, Reply)
    nak = decision.message
    assert set(nak.options) == {53, 54, 56, 61}
    assert (nak.ciaddr, nak.yiaddr, nak.siaddr, nak.file) == (ZERO, ZERO, ZERO, b"")
    assert nak.options[56] == b"192.168.1.5 is not within 10.9.0.0/24"
    assert [(each.kind.value, each.details["reason"]) for each in decision.events] == [
        ("refused", "192.168.1.5 is not within 10.9.0.0/24")
    ]


def test_we_answer_to_our_other_names_and_by_them() -> None:
    alias = IPv4Address("10.9.0.2")
    policy = make_policy(also_known_as=frozenset([alias]))
    assert reply(selecting(FREE, server=alias), policy).options[54] == alias.packed
    assert reply(selecting(FREE), policy).options[54] == SERVER.packed
