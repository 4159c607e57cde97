"""Which address a client gets, and whether it may have the one that it asks for.

The order of RFC 2131 section 4.3.1 with reservations before all: the client's reservation, what it holds or
held, what it asks for, then any free address of the pool.  Never the server's, the router's or a name server's
own address, another client's reservation, or an address that was declined and is in quarantine.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from netboot.config import Subnet
from netboot.dhcp.leases import LeaseView
from netboot.dhcp.reserved import NOTHING_RESERVED, Reserved
from netboot.model.lease import LeaseState
from netboot.model.mac import MacAddress

# EDK2 tries for 60 s, and a Raspberry Pi 3 boots from its OFFER alone without ever sending a REQUEST.
HOLD_S = 120.0
# Offers that nobody took may keep this share of a pool from others, so that a flood of invented MAC addresses
# does not starve a machine that is known; small pools are not bounded, or a classroom could not start at once.
_HOLDS_SHARE, _HOLDS_FREE = 2, 64


@dataclass(frozen=True, slots=True)
class NoAddress:
    reason: str


class Claim(NamedTuple):
    """Who asks, and what limits the answer.

    `server` and `aliases` are our own addresses.  `reservations` are by MAC, `fixed` by what packets say; `reserved`
    is the client's own of either; `known` that an admin named it.
    """

    mac: MacAddress
    subnet: Subnet
    server: IPv4Address
    leases: LeaseView
    reservations: Mapping[IPv4Address, MacAddress]
    now: float
    reserved: IPv4Address | None = None
    known: bool = False
    aliases: frozenset[IPv4Address] = frozenset()
    fixed: Reserved = NOTHING_RESERVED


def choose_address(claim: Claim, wanted: IPv4Address | None) -> IPv4Address | NoAddress:
    """The address to offer.  `wanted` is option 50."""
    for candidate in _preferred(claim, wanted):
        if refusal(claim, candidate) is None:
            return candidate
    if not claim.subnet.pool:
        return NoAddress(f"{claim.subnet.network} has no pool and the client no reservation that is free")
    if not claim.known and claim.leases.hold_count(claim.now) >= _most_holds(claim.subnet.lent):
        return NoAddress(f"too many offers in {claim.subnet.network} wait for an answer")
    for number in _from_pools(claim, claim.subnet.lent):
        candidate = IPv4Address(number)
        if refusal(claim, candidate) is None:
            return candidate
    return NoAddress(f"the pool of {claim.subnet.network} is exhausted")


def refusal(claim: Claim, address: IPv4Address) -> str | None:
    """Why this client may not have `address` now; None when it may."""
    subnet, number = claim.subnet, int(address)
    if number not in subnet.numbers:
        return f"{address} is not within {subnet.network}"
    if claim.leases.taken(address, mac=claim.mac, now=claim.now):
        return f"{address} belongs to someone else or was declined"
    if claim.reservations.get(address, claim.mac) != claim.mac:
        return f"{address} is reserved for another client"
    if address in claim.fixed and address != claim.reserved:
        return f"{address} is reserved for another client"
    if number in subnet.never_lent or address == claim.server or address in claim.aliases:
        return f"{address} is a server's own or a network's"
    if not subnet.lends(address) and address != claim.reserved:
        return f"{address} is in no pool"
    return None


def current_address(claim: Claim) -> IPv4Address | None:
    """Where the client is: its live lease within the subnet."""
    lease = claim.leases.lease_of(claim.mac)
    if lease is None or lease.state is not LeaseState.ACTIVE or not lease.holds(claim.now):
        return None
    return lease.address if int(lease.address) in claim.subnet.numbers else None


def _preferred(claim: Claim, wanted: IPv4Address | None) -> Iterator[IPv4Address]:
    if claim.reserved is not None:
        yield claim.reserved
    if hold := claim.leases.hold_of(claim.mac, claim.now):
        yield hold.address
    if lease := claim.leases.lease_of(claim.mac):
        yield lease.address
    if wanted is not None:
        yield wanted


def _from_pools(claim: Claim, pools: Sequence[range]) -> Iterator[int]:
    """What nobody has, from a place that depends on the MAC alone: a client tends to get the same address again."""
    start = zlib.crc32(claim.mac.octets) % sum(map(len, pools))
    rest = []
    for numbers in pools:
        skipped = min(start, len(numbers))
        start -= skipped
        yield from claim.leases.vacant(numbers[skipped:], claim.now)
        rest.append(numbers[:skipped])
    for numbers in rest:
        yield from claim.leases.vacant(numbers, claim.now)


def _most_holds(pools: Sequence[range]) -> int:
    size = sum(map(len, pools))
    return max(size // _HOLDS_SHARE, min(size, _HOLDS_FREE))
