"""Several networks by one interface: each relayed client is served from its own, and moves between them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.message import Message, MessageType
from netboot.model.event import EventKind
from netboot.model.lease import Pool
from netboot.model.networks import NetworkTable
from tests.dhcp_kit import (
    BOOT_PORT,
    LAB,
    SERVER,
    SUBNET,
    SYSTEM,
    UEFI,
    UNICAST,
    Edge,
    arrival,
    discover,
    extending,
    macs,
    make_policy,
    packet,
    rebooting,
    selecting,
)

RELAY = IPv4Address("10.8.0.254")
BY_RELAY = arrival(source=("10.8.0.254", 67), to=SERVER)
FAR = replace(
    SUBNET,
    network=IPv4Network("10.8.0.0/24"),
    pool=tuple(Pool(each, each) for each in (IPv4Address("10.8.0.10"), IPv4Address("10.8.0.20"))),
    router=RELAY,
    domain="far.example",
)
NAK, ACK, OFFER = MessageType.NAK, MessageType.ACK, MessageType.OFFER


@pytest.fixture
def edge() -> Edge:
    home = make_policy(LAB)
    return Edge(home, far=replace(home, subnet=FAR))


def far(edge: Edge, message: Message) -> Message | None:
    """Ask through the relay of the far network."""
    return edge.ask(replace(message, giaddr=RELAY), BY_RELAY)


def outcome(answer: Message | None) -> tuple[MessageType | None, str] | None:
    return None if answer is None else (answer.type, str(answer.yiaddr))


def lease_far(edge: Edge) -> str:
    offer = far(edge, discover())
    assert offer is not None
    ack = far(edge, selecting(str(offer.yiaddr)))
    assert outcome(ack) == (ACK, str(offer.yiaddr))
    return str(offer.yiaddr)


def test_each_client_is_told_of_its_own_network_by_one_server(edge: Edge) -> None:
    near, away = edge.ask(discover(SYSTEM)), far(edge, discover(SYSTEM))
    assert near is not None
    assert away is not None
    assert near.yiaddr in SUBNET.network
    assert away.yiaddr in FAR.network
    assert (away.options[3], away.options[15]) == (RELAY.packed, b"far.example")
    assert near.options[54] == away.options[54] == SERVER.packed


def test_both_pools_are_used_up_and_one_exhausted_network_leaves_the_other_alone(edge: Edge) -> None:
    offered = [far(edge, discover(mac=mac)) for mac in macs(2)]
    assert {str(each and each.yiaddr) for each in offered} == {"10.8.0.10", "10.8.0.20"}
    edge.take(replace(discover(mac=macs(3)[2]), giaddr=RELAY), BY_RELAY)
    (full,) = edge.batch.events
    assert (full.kind, full.details["network"]) == (EventKind.POOL_EXHAUSTED, "10.8.0.0/24")
    assert edge.ask(discover(mac=macs(3)[2])) is not None


def test_one_card_may_have_an_address_in_each_network(edge: Edge) -> None:
    """As a card whose VLANs are interfaces of their own does: all have its MAC."""
    here, there = edge.ask(selecting("10.9.0.105")), lease_far(edge)
    assert outcome(here) == (ACK, "10.9.0.105")
    assert outcome(edge.ask(extending("10.9.0.105"), UNICAST)) == (ACK, "10.9.0.105")
    assert outcome(edge.ask(extending(there), UNICAST)) == (ACK, there)


def test_a_client_that_moved_is_told_so_and_gets_an_address_of_its_new_network(edge: Edge) -> None:
    there = lease_far(edge)
    assert outcome(edge.ask(rebooting(there))) == (NAK, "0.0.0.0")
    assert outcome(edge.ask(extending(there))) == (NAK, "0.0.0.0")  # REBINDING
    offer = edge.ask(discover(more={50: IPv4Address(there).packed}))
    assert offer is not None
    assert offer.yiaddr in SUBNET.network
    assert outcome(edge.ask(selecting(str(offer.yiaddr)))) == (ACK, str(offer.yiaddr))
    assert outcome(far(edge, rebooting(str(offer.yiaddr)))) == (NAK, "0.0.0.0")
    assert outcome(far(edge, extending(str(offer.yiaddr)))) == (NAK, "0.0.0.0")


def test_a_far_client_renews_past_its_relay_and_ends_its_lease_so(edge: Edge) -> None:
    there = lease_far(edge)
    renewed = edge.ask(extending(there), UNICAST)
    assert outcome(renewed) == (ACK, there)
    assert renewed is not None
    assert renewed.options[1] == FAR.network.netmask.packed
    informed = edge.ask(packet(MessageType.INFORM, ciaddr=IPv4Address(there)), UNICAST)
    assert informed is not None
    assert informed.options[15] == b"far.example"
    edge.take(packet(MessageType.RELEASE, {54: SERVER.packed}, ciaddr=IPv4Address(there)), UNICAST)
    assert [each.kind.value for each in edge.batch.events] == ["released"]


def test_a_renewal_from_a_network_that_is_none_of_ours_is_judged_by_the_interfaces_own(edge: Edge) -> None:
    assert edge.ask(extending("192.168.7.7"), UNICAST) is None


def test_a_quarantine_is_of_the_far_network_alone(edge: Edge) -> None:
    there = lease_far(edge)
    far(edge, packet(MessageType.DECLINE, {54: SERVER.packed, 50: IPv4Address(there).packed}))
    lease = edge.ledger.lease_at(IPv4Address(there))
    assert lease is not None
    assert lease.state.value == "declined"
    again = far(edge, discover())
    assert again is not None
    assert str(again.yiaddr) != there


def test_a_reservation_counts_in_its_own_network_alone() -> None:
    home = make_policy(replace(LAB, address=IPv4Address("10.8.0.77")))
    edge = Edge(home, far=replace(home, subnet=FAR))
    assert outcome(far(edge, discover())) == (OFFER, "10.8.0.77")
    near = edge.ask(discover())
    assert near is not None
    assert near.yiaddr in SUBNET.network


def test_our_own_addresses_on_other_interfaces_are_not_lent() -> None:
    home = make_policy(also_known_as=frozenset([IPv4Address("10.8.0.10")]))
    edge = Edge(home, far=replace(home, subnet=FAR))
    assert outcome(far(edge, selecting("10.8.0.10"))) == (NAK, "0.0.0.0")


def test_one_interface_may_lend_at_home_and_be_a_proxy_for_a_relay() -> None:
    home = make_policy(LAB)
    edge = Edge(home, far=replace(home, subnet=FAR))
    proxied = replace(home, subnet=None, mode=DhcpMode.PROXY)
    edge.policies = replace(
        edge.policies, networks=NetworkTable([(SUBNET.network, edge.policies.home), (FAR.network, proxied)])
    )
    offer = far(edge, discover(UEFI))
    assert offer is not None
    assert (int(offer.yiaddr), offer.file, offer.options[60]) == (0, b"ipxe/snponly.efi", b"PXEClient")
    assert far(edge, discover(SYSTEM)) is None
    near = edge.ask(discover(UEFI))
    assert near is not None
    assert near.yiaddr in SUBNET.network
    assert edge.policies.modes == {DhcpMode.OWN, DhcpMode.PROXY}
    assert not edge.policies.shares_port


def test_port_4011_obeys_the_mode_of_the_clients_network() -> None:
    home = make_policy(LAB)
    edge = Edge(home, far=replace(home, subnet=FAR, mode=DhcpMode.OFF))
    asked = packet(MessageType.REQUEST, UEFI, ciaddr=IPv4Address("10.8.0.50"))
    assert edge.ask(asked, BOOT_PORT) is None
    by_source = arrival(port=4011, source=("10.8.0.50", 4011), to=SERVER)
    assert edge.ask(replace(asked, ciaddr=IPv4Address(0)), by_source) is None
    assert edge.ask(replace(asked, ciaddr=IPv4Address("10.9.0.100")), BOOT_PORT) is not None


def test_the_table_finds_the_network_of_an_address_and_none_beyond() -> None:
    table = NetworkTable((IPv4Network(each), each) for each in ("10.8.0.0/24", "10.8.2.0/23", "10.8.1.128/25"))
    found = {
        each: table.find(IPv4Address(each))
        for each in ("10.7.255.255", "10.8.0.0", "10.8.0.255", "10.8.1.127", "10.8.1.128", "10.8.3.255", "10.8.4.0")
    }
    assert list(found.values()) == [None, "10.8.0.0/24", "10.8.0.0/24", None, "10.8.1.128/25", "10.8.2.0/23", None]
