"""Which packets a stencil answers, and which it leaves to `answer`; tests/property shows that both say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from netboot.config import DhcpMode, parse_config
from netboot.dhcp.batch import take
from netboot.dhcp.kinds import layout_of
from netboot.dhcp.message import Message, encode
from netboot.dhcp.packets import Packet
from netboot.dhcp.policy import Policy
from netboot.dhcp.reserved import Reserved
from netboot.dhcp.stencils import Stencils
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.store.directory import MAX_AGE_S
from tests.dhcp_kit import (
    BIOS,
    IPXE,
    LAB,
    NOW,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    UUID,
    Edge,
    arrival,
    discover,
    extending,
    macs,
    make_policy,
    rebooting,
    selecting,
)

ONE, OTHER, NAMED = macs(3)
KIOSK = parse_config(
    '[[subnet]]\nnetwork = "10.9.0.0/24"\n[[reservation]]\naddress = "10.9.0.50"\nclient_id = "kiosk"\n'
).reservation
POLICY = make_policy(replace(LAB, mac=NAMED), unknown="image:debian")
RUNNING: dict[str, Any] = {"ciaddr": IPv4Address("10.9.0.101")}
RELAYED: dict[str, Any] = {"giaddr": IPv4Address("10.9.0.2")}
UBOOT = {**BIOS, 60: b"U-Boot.armv8", 93: b"\0\x16"}


class Watched(Edge):
    """Tells whether a packet was answered by a stencil."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.stencils = Stencils()

    def fills(self, message: Message, *, now: float = NOW, port: int = 67) -> bool:
        packet = Packet(encode(message), arrival(port=port))
        self.stencils.refresh(self.policies, now)
        filled = self.stencils.fill(packet, now) is not None
        take(packet, self.policies, self.ledger, now, self.batch, self.stencils)
        return filled


@pytest.mark.parametrize("asker", [SYSTEM, BIOS, UEFI, UEFI_HTTP, IPXE, {**SYSTEM, 61: b"\0me", 12: b"me"}])
@pytest.mark.parametrize("fields", [{}, RELAYED, {"flags": 0x8000}])
def test_the_second_machine_of_a_kind_is_answered_by_the_cut_stencil_the_first(
    asker: Mapping[int, bytes], fields: dict[str, Any]
) -> None:
    edge = Watched(POLICY)
    assert not edge.fills(discover(asker, mac=ONE, **fields))
    assert edge.fills(discover(asker, mac=OTHER, **fields))
    assert not edge.fills(selecting("10.9.0.101", asker, mac=ONE, **fields))
    assert edge.fills(selecting("10.9.0.102", asker, mac=OTHER, **fields))


@pytest.mark.parametrize(
    "odd",
    [
        discover(UEFI, mac=NAMED),
        discover(UEFI, mac=MacAddress(b"\x52\x54\x02\0\0\1")),
        discover({**UEFI, 97: b"\0" + bytes(16)}, mac=OTHER),
        discover({**UEFI, 97: b"\0RPi4" + bytes(12)}, mac=OTHER),
        discover({**UEFI, 97: b"\0" + b"1234" * 4}, mac=OTHER),
        discover(UEFI, mac=OTHER, giaddr=IPv4Address("10.9.0.2")),
        discover({**UEFI, 93: b"\0\x09"}, mac=OTHER),
    ],
)
def test_machines_that_differ_by_more_than_their_marks_are_not_of_the_kind(odd: Message) -> None:
    edge = Watched(POLICY)
    edge.fills(discover(UEFI, mac=ONE))
    assert not edge.fills(odd)


@pytest.mark.parametrize(
    ("policy", "first", "second"),
    [
        (POLICY, discover(UBOOT, mac=ONE), discover(UBOOT, mac=OTHER)),
        (POLICY, discover(UEFI, mac=NAMED), discover(UEFI, mac=OTHER)),
        (POLICY, discover({**BIOS, 97: b"\0RPi4" + UUID[:12]}, mac=ONE), discover(BIOS, mac=OTHER)),
        (POLICY, rebooting("10.9.0.101", mac=ONE), rebooting("10.9.0.102", mac=OTHER)),
        (POLICY, extending("10.9.0.101", mac=ONE), extending("10.9.0.101", mac=OTHER)),
        (POLICY, selecting("10.9.0.101", mac=ONE, **RUNNING), selecting("10.9.0.101", mac=OTHER, **RUNNING)),
        (POLICY, discover(UEFI, mac=MacAddress(bytes(5) + b"\1")), discover(UEFI, mac=MacAddress(bytes(6)))),
        (
            POLICY,
            discover(mac=ONE, more={82: b"\x13\0"}, **RELAYED),
            discover(mac=OTHER, more={82: b"\x13\0"}, **RELAYED),
        ),
        (replace(POLICY, fixed=Reserved(KIOSK)), discover(mac=ONE), discover(mac=OTHER)),
        (make_policy(mode=DhcpMode.PROXY), discover(UEFI, mac=ONE), discover(UEFI, mac=OTHER)),
    ],
)
def test_what_depends_on_more_than_the_kind_gets_no_stencil(policy: Policy, first: Message, second: Message) -> None:
    edge = Watched(policy)
    edge.fills(first)
    assert not edge.fills(second)


def test_nothing_but_port_67_has_stencils() -> None:
    edge = Watched(POLICY)
    edge.fills(selecting("10.9.0.101", UEFI, mac=ONE), port=4011)
    assert not edge.fills(selecting("10.9.0.102", UEFI, mac=OTHER), port=4011)
    assert not edge.fills(selecting("10.9.0.101", UEFI, mac=ONE))
    assert not edge.fills(selecting("10.9.0.102", UEFI, mac=OTHER), port=4011)


def test_a_refusal_and_a_full_pool_are_left_to_the_answer() -> None:
    edge = Watched(POLICY)
    edge.fills(selecting("10.9.0.101", mac=ONE))
    assert not edge.fills(selecting("10.9.0.101", mac=OTHER))
    first, *others = (each for each in macs(12) if each != NAMED)
    assert [edge.fills(discover(mac=each)) for each in (first, *others)] == [False, *[True] * 9, False]


def test_a_stencil_serves_for_a_moment_and_for_its_policies_alone() -> None:
    edge = Watched(POLICY)
    edge.fills(discover(mac=ONE))
    assert edge.fills(discover(mac=OTHER), now=NOW + MAX_AGE_S / 2)
    assert not edge.fills(discover(mac=OTHER), now=NOW + 2 * MAX_AGE_S)
    assert edge.fills(discover(mac=OTHER), now=NOW + 2 * MAX_AGE_S)
    edge.policies = replace(edge.policies)
    assert not edge.fills(discover(mac=OTHER), now=NOW + 2 * MAX_AGE_S)
    assert not edge.fills(discover(mac=OTHER), now=NOW)  # a clock that was set back


def test_kinds_that_somebody_invents_are_noted_up_to_a_bound() -> None:
    edge = Watched(POLICY)
    for number in range(100):
        edge.fills(discover({55: bytes((1, number + 1))}, mac=ONE))
    assert edge.fills(discover({55: b"\1\1"}, mac=OTHER))
    assert not edge.fills(discover({55: b"\1\x64"}, mac=OTHER))


def test_a_lease_of_before_is_given_back_by_a_stencil_too() -> None:
    edge = Watched(POLICY)
    for address in ("10.9.0.101", "10.9.0.102"):
        edge.fills(selecting(address, mac=ONE))
    assert edge.batch.leases[1:] == [
        edge.batch.leases[0]._replace(state=LeaseState.RELEASED, expires_at=NOW),
        Lease(address=IPv4Address("10.9.0.102"), mac=ONE, state=LeaseState.ACTIVE, expires_at=NOW + 3600),
    ]


def test_a_packet_with_an_option_twice_or_with_options_in_the_header_has_no_layout() -> None:
    plain = encode(discover(mac=ONE))
    assert layout_of(plain) is not None
    assert layout_of(plain[:240] + b"\x0c\1a\x0c\1b\xff") is None
    assert layout_of(plain[:240] + b"\x34\1\1\xff") is None
