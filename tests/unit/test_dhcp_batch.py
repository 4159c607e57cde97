"""From packets to what is written and sent."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.batch import Batch, take, take_arp
from netboot.dhcp.frame import ArpSender
from netboot.dhcp.message import DecodeError, decode
from netboot.dhcp.message import MessageType as Type
from netboot.dhcp.packets import Packet
from netboot.model.lease import LeaseState
from tests.dhcp_kit import (
    BIOS,
    LAB,
    NOW,
    SERVER,
    UEFI,
    UNICAST,
    Edge,
    arrival,
    discover,
    extending,
    macs,
    make_policy,
    packet,
    selecting,
)
from tests.kit import MAC, OTHER_MAC


def test_an_offer_goes_at_once_and_an_ack_waits_for_its_lease() -> None:
    edge = Edge(make_policy(LAB))
    (offer,) = edge.take(discover(BIOS))
    address = offer.to.address
    assert (offer.source, offer.port, offer.to.hardware, offer.probe) == (SERVER, 67, MAC, address)
    assert edge.batch == Batch()
    assert edge.take(selecting(str(address), BIOS)) == ()
    assert [(each.address, each.state) for each in edge.batch.leases] == [(address, LeaseState.ACTIVE)]
    (ack,) = edge.batch.replies
    assert decode(ack.payload).yiaddr == address
    assert [each.kind.value for each in ack.events] == ["acked"]
    assert edge.batch.events == []


def test_packets_of_one_batch_see_each_others_leases() -> None:
    edge = Edge(make_policy())
    for mac in macs(2):
        edge.take(selecting("10.9.0.105", mac=mac))
    assert [(str(each.address), each.mac) for each in edge.batch.leases] == [("10.9.0.105", macs(1)[0])]


def test_a_silence_may_still_write_and_tell() -> None:
    edge = Edge(make_policy())
    edge.take(selecting("10.9.0.105"))
    edge.batch = Batch()
    released = packet(Type.RELEASE, {54: SERVER.packed}, ciaddr=IPv4Address("10.9.0.105"))
    assert edge.take(released, UNICAST) == ()
    assert [each.state for each in edge.batch.leases] == [LeaseState.RELEASED]
    assert [each.kind.value for each in edge.batch.events] == ["released"]


def test_a_client_that_runs_on_our_link_is_answered_by_its_mac() -> None:
    renewal = extending("10.9.0.105")
    for policy, straight in (
        (make_policy(), True),
        (make_policy(server=IPv4Address("192.168.1.1")), False),  # its subnet is beyond a router
    ):
        edge = Edge(policy)
        edge.take(renewal, UNICAST)
        (ack,) = edge.batch.replies
        assert (str(ack.to.address), ack.to.hardware) == ("10.9.0.105", MAC if straight else None)


def test_what_is_no_dhcp_changes_nothing() -> None:
    edge = Edge(make_policy())
    with pytest.raises(DecodeError):
        take(Packet(b"x" * 300, arrival()), edge.policies, edge.ledger, NOW, edge.batch)
    assert edge.batch == Batch()


def test_a_relayed_offer_is_not_probed() -> None:
    (offer,) = Edge(make_policy()).take(discover(giaddr=IPv4Address("10.9.0.2")))
    assert offer.probe is None


@pytest.mark.parametrize(
    ("asked", "answers"),
    [("10.9.0.1", "10.9.0.1"), ("10.9.0.3", "10.9.0.3"), ("255.255.255.255", "10.9.0.1"), ("224.0.1.2", "10.9.0.1")],
)
def test_port_4011_answers_from_the_address_that_was_asked(asked: str, answers: str) -> None:
    edge = Edge(make_policy(LAB, mode=DhcpMode.PROXY))
    by = arrival(port=4011, source=("10.9.0.100", 4011), to=IPv4Address(asked))
    (ack,) = edge.take(packet(Type.REQUEST, UEFI, ciaddr=IPv4Address("10.9.0.100")), by)
    assert (str(ack.source), ack.port) == (answers, 4011)


def test_an_address_on_offer_that_somebody_uses_is_quarantined_and_its_request_refused() -> None:
    edge = Edge(make_policy())
    (offer,) = edge.take(discover())
    address = offer.to.address
    take_arp(ArpSender(address, OTHER_MAC.octets), edge.ledger, NOW, edge.batch)
    assert [(each.address, each.state) for each in edge.batch.leases] == [(address, LeaseState.DECLINED)]
    assert edge.batch.events[0].details == {"address": str(address), "used_by": str(OTHER_MAC)}
    (nak,) = edge.take(selecting(str(address)))
    assert decode(nak.payload).type is Type.NAK
    (second,) = edge.take(discover())
    assert second.to.address != address


def test_the_client_itself_and_addresses_not_on_offer_are_no_conflict() -> None:
    edge = Edge(make_policy())
    (offer,) = edge.take(discover())
    take_arp(ArpSender(offer.to.address, MAC.octets), edge.ledger, NOW, edge.batch)
    take_arp(ArpSender(offer.to.address, OTHER_MAC.octets), edge.ledger, NOW + 500, edge.batch)
    take_arp(ArpSender(IPv4Address("10.9.0.3"), OTHER_MAC.octets), edge.ledger, NOW, edge.batch)
    assert edge.batch == Batch()
    edge.take(selecting(str(offer.to.address)))
    edge.batch = replace(edge.batch, leases=[])
    take_arp(ArpSender(offer.to.address, OTHER_MAC.octets), edge.ledger, NOW, edge.batch)
    assert edge.batch.leases == []
