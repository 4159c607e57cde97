"""The quick search for a free address finds what looking at every address, one by one, would."""

from __future__ import annotations

import zlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.dhcp.allocate import Claim, NoAddress, choose_address, refusal
from netboot.dhcp.leases import LeaseBook
from netboot.dhcp.vacancies import Vacancies
from netboot.model.lease import Lease, LeaseState, Pool
from netboot.model.mac import MacAddress
from tests.dhcp_kit import NOW, SERVER, SUBNET, macs

# The second lies across the edge of a page.
POOLS = (("10.9.0.100", "10.9.0.106"), ("10.9.15.253", "10.9.16.3"), ("10.9.200.0", "10.9.200.0"))
WIDE = replace(
    SUBNET,
    network=IPv4Network("10.9.0.0/16"),
    pool=tuple(Pool(IPv4Address(first), IPv4Address(last)) for first, last in POOLS),
    router=IPv4Address("10.9.16.0"),
)
ADDRESSES = [IPv4Address(number) for pool in WIDE.lent for number in pool]
HOLDERS, (ASKER, OTHER, THIRD) = macs(20), macs(23)[20:]

lines = st.builds(
    Lease,
    address=st.sampled_from(ADDRESSES),
    mac=st.sampled_from(HOLDERS),
    state=st.sampled_from(LeaseState),
    expires_at=st.sampled_from((0.0, NOW - 1, NOW + 5, NOW + 30, NOW + 1000)),
    client_id=st.none(),
    hostname=st.none(),
)


def looked_for(claim: Claim) -> IPv4Address | None:
    """The first address that is not refused, from the client's place on and round."""
    start = zlib.crc32(claim.mac.octets) % len(ADDRESSES)
    return next((each for each in ADDRESSES[start:] + ADDRESSES[:start] if refusal(claim, each) is None), None)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.lists(lines, max_size=12), st.sampled_from((0, 3, 20, 500))), max_size=8),
    st.sampled_from((ASKER, OTHER, THIRD)),
    st.sets(st.sampled_from(ADDRESSES), max_size=4),
)
def test_the_address_is_the_one_that_a_slow_search_finds(
    story: list[tuple[list[Lease], int]], mac: MacAddress, reserved: set[IPv4Address]
) -> None:
    book, now = LeaseBook(), NOW
    for written, seconds in story:
        for line in written:
            book.put(line)
        now += seconds
        claim = Claim(
            mac=mac,
            subnet=WIDE,
            server=SERVER,
            leases=book,
            reservations=dict.fromkeys(reserved, HOLDERS[0]),
            now=now,
            known=True,
        )
        found = choose_address(claim, None)
        assert (None if isinstance(found, NoAddress) else found) == looked_for(claim)


def test_what_comes_and_goes_leaves_nothing_behind() -> None:
    vacancies = Vacancies()
    for number in range(10_000):
        vacancies.take(number % 7, 1e9 - number)
        vacancies.free(number % 7)
    assert len(vacancies._due) < 100
    assert list(vacancies.among(range(9), NOW)) == list(range(9))
