"""A stencil gives what `answer` would have: the same bytes, leases and events, whoever asks in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.config import DhcpMode
from netboot.dhcp.batch import take
from netboot.dhcp.leases import LeaseBook
from netboot.dhcp.message import ZERO, Message, encode
from netboot.dhcp.packets import Outgoing, Packet
from netboot.dhcp.policy import Policy
from netboot.dhcp.stencils import Stencils
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Strategy
from tests.dhcp_kit import (
    BIOS,
    IPXE,
    LAB,
    NOW,
    RESERVED,
    SERVER,
    SUBNET,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    UUID,
    Edge,
    arrival,
    macs,
    make_policy,
)

UBOOT = {**BIOS, 60: b"U-Boot.armv8", 93: b"\0\x16"}
SHORT = {60: b"PXEClient:Arch:00007:UNDI:003016"}
A_PI = MacAddress(bytes.fromhex("dca632000001"))
OF_ANOTHER_MAKE = MacAddress(bytes.fromhex("001b21000001"))
# What one make of each family taught; the same firmware on cards of another maker is told otherwise.
TAUGHT = {
    (DhcpMode.OWN, Fingerprint.of(family, arch, OF_ANOTHER_MAKE.octets[:3], asker[60])): Strategy.DISCOVERY
    for family, arch, asker in ((Firmware.BIOS, 0, BIOS), (Firmware.UEFI, 7, UEFI))
}
# The first bytes of `file`, where option 52 may have moved options: PADs, or an option 55.
OVERFLOWN, OVERFLOWS = slice(108, 112), (bytes(4), b"\x37\1\3\xff")
POLICIES = (
    make_policy(LAB, RESERVED, unknown="image:debian"),
    make_policy(LAB, RESERVED, unknown="image:debian", strategies=TAUGHT),
    make_policy(LAB, RESERVED, unknown="menu"),
    make_policy(LAB, RESERVED, unknown="nothing"),
    replace(make_policy(LAB, RESERVED), subnet=None),
)


def take_by(edge: Edge, packet: Packet, now: float, stencils: Stencils | None = None) -> tuple[Outgoing, ...]:
    if stencils is not None:
        stencils.refresh(edge.policies, now)
    return take(packet, edge.policies, edge.ledger, now, edge.batch, stencils)


def book_of(edge: Edge) -> LeaseBook:
    return edge.ledger.book(SUBNET.network)


ADDRESSES = [bytes((10, 9, 0, last)) for last in (1, 7, 100, 101, 105, 109)]
# What a machine may write into each option that is a mark; within one make all are equally long.
VALUES = {
    12: [[b"Lab-7", b"lab-8", b"-lab-"]],
    50: [ADDRESSES, [b"abc"]],
    61: [[b"\0one", b"\0two"], [b"\x01" + each.octets for each in macs(2)], [b"x"]],
    97: [[b"\0" + each for each in (UUID, UUID[::-1], bytes(16), b"1234" * 4, b"RPi4" * 4)], [b"\0123", b"\0456"]],
}


@dataclass(frozen=True)
class Make:
    """One make of machine at one step, and what its machines may differ in."""

    message: Message
    marks: dict[int, list[bytes]]


@st.composite
def makes(draw: st.DrawFn) -> Make:
    step = draw(st.sampled_from((1, 1, 1, 3, 3, 3, 3, 3, 4, 7, 8)))
    options = {53: bytes((step,)), **draw(st.sampled_from((SYSTEM, BIOS, UEFI, UEFI_HTTP, IPXE, UBOOT, SHORT)))}
    if step == 3:
        options |= draw(st.sampled_from(({54: SERVER.packed},) * 4 + ({54: b"\x0a\x09\0\x02"}, {})))
    odd = ({51: b"\0\0\1\0"}, {80: b""}, {82: b"\1\2ab"}, {82: b"\x13\0"}, {52: b"\x01"})
    options |= draw(st.sampled_from(({},) * 6 + odd))
    codes = draw(st.sets(st.sampled_from((12, 61, 97)))) | ({50} if step == 3 or draw(st.booleans()) else set())
    message = Message(
        options=options,
        flags=draw(st.sampled_from((0, 0x8000))),
        ciaddr=draw(st.sampled_from((ZERO, ZERO, ZERO, ZERO, IPv4Address("10.9.0.101")))),
        giaddr=draw(st.sampled_from((ZERO, IPv4Address("10.9.0.2")))),
    )
    return Make(message, {code: draw(st.sampled_from(VALUES[code])) for code in sorted(codes)})


@st.composite
def packets(draw: st.DrawFn, make: Make) -> Packet:
    """What one machine of the make sends."""
    mac = draw(st.sampled_from((*macs(6), OF_ANOTHER_MAKE, LAB.mac, RESERVED.mac, A_PI)))
    options = {**make.message.options, **{code: draw(st.sampled_from(values)) for code, values in make.marks.items()}}
    message = replace(
        make.message,
        chaddr=mac.octets + draw(st.sampled_from((bytes(10), b"0123456789"))),
        xid=draw(st.integers(0, 2**32 - 1)),
        secs=draw(st.integers(0, 9)),
        options=options,
    )
    data = bytearray(encode(message))
    data[OVERFLOWN] = draw(st.sampled_from(OVERFLOWS))
    return Packet(bytes(data), arrival(source=("10.9.0.2", draw(st.sampled_from((67, 1067))))))


@st.composite
def stories(draw: st.DrawFn) -> list[Packet]:
    return [
        each
        for make in draw(st.lists(makes(), min_size=1, max_size=3))
        for each in draw(st.lists(packets(make), min_size=2, max_size=7))
    ]


@settings(max_examples=400)
@given(st.sampled_from(POLICIES), stories(), st.sampled_from((0.0, 0.01, 100.0)))
def test_stencils_change_no_answer(policy: Policy, story: list[Packet], pace_s: float) -> None:
    quick, slow, stencils = Edge(policy), Edge(policy), Stencils()
    for number, packet in enumerate(story):
        now = NOW + number * pace_s
        assert take_by(quick, packet, now, stencils) == take_by(slow, packet, now)
        assert quick.batch == slow.batch
        assert book_of(quick).lines() == book_of(slow).lines()
