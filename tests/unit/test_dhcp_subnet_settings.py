"""Settings of a subnet that change what clients are told: routes, rapid commit, and bounds."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import cast

import pytest

from netboot.config import DhcpMode, Subnet
from netboot.config.reader import parse_config
from netboot.daemon.places import survey_of
from netboot.daemon.policies import dhcp_policies
from netboot.dhcp import options as opt
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.message import MessageType, decode, encode
from netboot.errors import InvalidInput
from netboot.model.lease import LeaseState
from netboot.model.networks import Route
from netboot.store import ClientDirectory
from netboot.system.links import Link
from tests.dhcp_kit import BIOS, LAB, NOW, SUBNET, SYSTEM, Shelf, ask, discover, make_policy, reply, silence

ROUTED = replace(SUBNET, routes=(Route(IPv4Network("10.20.0.0/16"), IPv4Address("10.9.0.253")),))
RAPID = replace(SUBNET, rapid_commit=True)
OWN = (IPv4Interface("10.9.0.1/24"),)
ASKS_ROUTES = {55: bytes((1, 121, 3))}
ASKS_RAPID = {**SYSTEM, 80: b""}


def test_who_asks_for_routes_is_told_the_default_route_among_them() -> None:
    """RFC 3442: such a client ignores option 3."""
    offer = reply(discover(ASKS_ROUTES), make_policy(subnet=ROUTED))
    assert offer.options[121] == bytes((16, 10, 20, 10, 9, 0, 253)) + bytes((0, 10, 9, 0, 254))
    assert list(offer.options).index(1) < list(offer.options).index(3)


def test_microsofts_number_has_the_same_body() -> None:
    offer = reply(discover({55: bytes((1, 3, 249))}), make_policy(subnet=ROUTED))
    assert 121 not in offer.options
    assert offer.options[249] == bytes((16, 10, 20, 10, 9, 0, 253, 0, 10, 9, 0, 254))


@pytest.mark.parametrize("asker", [SYSTEM, {}])
def test_who_does_not_ask_is_told_the_router_alone(asker: dict[int, bytes]) -> None:
    offer = reply(discover(asker), make_policy(subnet=ROUTED))
    assert {121, 249}.isdisjoint(offer.options)
    assert offer.options[3] == IPv4Address("10.9.0.254").packed


def test_without_a_router_the_routes_stand_alone() -> None:
    offer = reply(discover(ASKS_ROUTES), make_policy(subnet=replace(ROUTED, router=None)))
    assert opt.CLASSLESS_ROUTES.read(offer.options) == ROUTED.routes


def test_rapid_commit_lends_at_once() -> None:
    """RFC 4039: an ACK with option 80, and a lease that is durable before it leaves."""
    policy = make_policy(LAB, subnet=RAPID)
    decision = ask(discover(ASKS_RAPID), policy)
    (lease,) = decision.leases
    assert (lease.state, lease.mac) == (LeaseState.ACTIVE, LAB.mac)
    ack = reply(discover(ASKS_RAPID), policy, now=NOW + 1)
    assert (ack.type, ack.yiaddr, ack.ciaddr) == (MessageType.ACK, lease.address, IPv4Address(0))
    assert decode(encode(ack)).options[80] == b""


@pytest.mark.parametrize(("subnet", "asker"), [(SUBNET, ASKS_RAPID), (RAPID, SYSTEM), (RAPID, BIOS)])
def test_without_consent_of_both_there_is_an_offer(subnet: Subnet, asker: dict[int, bytes]) -> None:
    offer = reply(discover(asker), make_policy(subnet=subnet))
    assert offer.type is MessageType.OFFER
    assert 80 not in offer.options


def test_a_proxy_never_commits() -> None:
    said = ask(discover({**BIOS, 80: b""}), make_policy(LAB, mode=DhcpMode.PROXY))
    assert not said.leases
    assert "booting machines alone" in silence(discover(ASKS_RAPID), make_policy(mode=DhcpMode.PROXY))


def test_the_policy_has_the_subnets_settings_and_the_links_mtu() -> None:
    config = parse_config(
        '[[interface]]\nname = "br0"\ndhcp = "own"\n[[subnet]]\nnetwork = "10.9.0.0/24"\nauthoritative = false\n'
        'routes = ["10.20.0.0/16 via 10.9.0.253"]\n'
    )
    (place,) = survey_of(config, [Link(index=2, name="br0", mac=bytes(6), up=True, mtu=1400, addresses=OWN)]).places
    ledger = Ledger(Shelf(), [config.subnet[0].network])
    boot, nobody = make_policy().boot, cast(ClientDirectory, None)
    policy = dhcp_policies(place, config, boot=boot, clients=nobody, ledger=ledger, strategies={}, http_port=8080).home
    assert (policy.authoritative, policy.mtu) == (False, 1400)
    assert policy.subnet is not None
    assert policy.subnet.routes == ROUTED.routes


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("dns = [" + '"10.9.0.1",' * 64 + "]", "one DHCP option holds 63"),
        ("routes = [" + '"10.20.0.0/16 via 10.9.0.1",' * 28 + "]", "one DHCP option holds 27"),
        ('routes = ["10.20.0.0/16"]', "10.20.0.0/16 via 10.9.0.254"),
        ('routes = ["10.20.0.1/16 via 10.9.0.1"]', "no host bits"),
        ('routes = ["10.20.0.0/16 via here"]', "must be an IPv4 address"),
    ],
)
def test_what_no_packet_can_hold_is_refused(setting: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_config(f'[[subnet]]\nnetwork = "10.9.0.0/24"\n{setting}')
