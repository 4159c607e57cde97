"""DECLINE and RELEASE: how a client gives up an address, and that nobody does so for another."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from netboot.dhcp.message import Message, MessageType
from netboot.dhcp.own import QUARANTINE_RESERVED_S, QUARANTINE_S
from netboot.model.lease import LeaseState
from tests.dhcp_kit import (
    LAB,
    NOW,
    SERVER,
    SYSTEM,
    UNICAST,
    Raw,
    ask,
    discover,
    dora,
    make_policy,
    packet,
    reply,
    told,
)
from tests.kit import MAC, OTHER_MAC

RESERVED = replace(LAB, address=IPv4Address("10.9.0.7"))


def declining(address: str, server: IPv4Address = SERVER, **fields: Any) -> Message:
    return packet(MessageType.DECLINE, {50: IPv4Address(address).packed, 54: server.packed}, **fields)


def test_a_declined_address_is_quarantined_and_another_is_offered() -> None:
    policy = make_policy()
    address = dora(policy).yiaddr
    decision = ask(declining(str(address)), policy)
    assert told(decision) == ["declined"]
    assert [(each.state, each.expires_at) for each in decision.leases] == [(LeaseState.DECLINED, NOW + QUARANTINE_S)]
    assert reply(discover(), policy).yiaddr != address
    assert reply(discover(more={50: address.packed}), policy, now=NOW + QUARANTINE_S - 1).yiaddr != address


def test_a_declined_offer_counts_and_a_reservation_comes_back_sooner() -> None:
    policy = make_policy(RESERVED)
    assert str(reply(discover(), policy).yiaddr) == "10.9.0.7"
    ask(declining("10.9.0.7"), policy)
    assert str(reply(discover(), policy).yiaddr) != "10.9.0.7"
    assert str(reply(discover(), policy, now=NOW + QUARANTINE_RESERVED_S + 1).yiaddr) == "10.9.0.7"


def test_nobody_declines_for_another() -> None:
    policy = make_policy()
    address = str(dora(policy).yiaddr)
    for message in (
        declining(address, mac=OTHER_MAC),
        declining(address, server=IPv4Address("10.9.0.99")),
        packet(MessageType.DECLINE, {54: SERVER.packed}),
        declining("10.9.0.109" if address != "10.9.0.109" else "10.9.0.108"),
    ):
        decision = ask(message, policy)
        assert (decision.leases, decision.events) == ((), ())


def releasing(address: IPv4Address, more: Raw | None = None, **fields: Any) -> Message:
    return packet(MessageType.RELEASE, {54: SERVER.packed, **(more or {})}, ciaddr=address, **fields)


def test_a_release_frees_the_address_and_keeps_the_affinity() -> None:
    policy = make_policy()
    address = dora(policy).yiaddr
    assert told(ask(releasing(address), policy, by=UNICAST)) == ["released"]
    assert not policy.leases.taken(address, mac=OTHER_MAC, now=NOW)
    assert reply(discover(), policy).yiaddr == address


def test_a_release_that_does_not_match_is_ignored() -> None:
    policy = make_policy()
    address = dora(policy, {**SYSTEM, 61: b"\xff123"}).yiaddr
    for message in (
        releasing(address),
        releasing(address, {61: b"\xff999"}),
        releasing(address, {61: b"\xff123"}, mac=OTHER_MAC),
        releasing(address, {61: b"\xff123", 54: b"\x0a\x09\x00\x63"}),
        releasing(IPv4Address("10.9.0.3"), {61: b"\xff123"}),
    ):
        assert ask(message, policy, by=UNICAST).leases == ()
    assert ask(releasing(address, {61: b"\xff123"}), policy, by=UNICAST).leases


@pytest.mark.parametrize("says_chaddr", [{61: b"\x01" + MAC.octets}, {61: b"\x01"}, {}])
@pytest.mark.parametrize("releases_by", [{61: b"\x01" + MAC.octets}, {61: b"\x01"}, {}])
def test_an_identifier_that_says_no_more_than_the_mac_is_none(says_chaddr: Raw, releases_by: Raw) -> None:
    """Firmware sends none, iPXE type 1 and its MAC: one and the same client (RFC 2132 section 9.14)."""
    policy = make_policy()
    address = dora(policy, {**SYSTEM, **says_chaddr}).yiaddr
    assert ask(releasing(address, releases_by), policy, by=UNICAST).leases
