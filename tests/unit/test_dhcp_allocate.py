from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from netboot.dhcp.allocate import HOLD_S, Claim, NoAddress, choose_address, refusal
from netboot.dhcp.leases import LeaseBook
from netboot.model.lease import Lease, LeaseState, Pool
from netboot.model.mac import MacAddress
from tests.dhcp_kit import NOW, SERVER, SUBNET, active, macs
from tests.kit import MAC, OTHER_MAC

A = IPv4Address


def claim(*leases: Lease, **more: Any) -> Claim:
    book = LeaseBook()
    for lease in leases:
        book.put(lease)
    values: dict[str, Any] = {
        "mac": MAC,
        "subnet": SUBNET,
        "server": SERVER,
        "leases": book,
        "reservations": {},
        "now": NOW,
    }
    return Claim(**{**values, **more})


def hold(address: str, mac: MacAddress = MAC, *, until: float = NOW + HOLD_S) -> Lease:
    return Lease(address=A(address), mac=mac, state=LeaseState.OFFERED, expires_at=until)


def chosen(given: Claim, wanted: str | None = None) -> str:
    return str(choose_address(given, A(wanted) if wanted else None))


def test_the_order_of_choice() -> None:
    everything = claim(
        active("10.9.0.102", until=NOW - 1),
        hold("10.9.0.101"),
        reserved=A("10.9.0.7"),
        reservations={A("10.9.0.7"): MAC},
    )
    assert chosen(everything, "10.9.0.103") == "10.9.0.7"
    assert chosen(everything._replace(reserved=None), "10.9.0.103") == "10.9.0.101"
    assert chosen(claim(active("10.9.0.102", until=NOW - 1)), "10.9.0.103") == "10.9.0.102"
    assert chosen(claim(), "10.9.0.103") == "10.9.0.103"
    assert SUBNET.lends(A(chosen(claim())))


def test_a_reservation_that_somebody_else_still_uses_waits() -> None:
    given = claim(active("10.9.0.7", OTHER_MAC), reserved=A("10.9.0.7"), reservations={A("10.9.0.7"): MAC})
    assert SUBNET.lends(A(chosen(given)))


@pytest.mark.parametrize(
    ("leases", "wanted", "why"),
    [
        ((), "10.9.1.5", "not within"),
        ((), "10.9.0.99", "in no pool"),
        ((active("10.9.0.105", OTHER_MAC),), "10.9.0.105", "someone else"),
        ((hold("10.9.0.105", OTHER_MAC),), "10.9.0.105", "someone else"),
        ((active("10.9.0.105")._replace(state=LeaseState.DECLINED),), "10.9.0.105", "declined"),
        ((active("10.9.0.105", OTHER_MAC)._replace(state=LeaseState.RELEASED),), "10.9.0.105", None),
        ((active("10.9.0.105", OTHER_MAC, until=NOW - 1),), "10.9.0.105", None),
        ((hold("10.9.0.105", OTHER_MAC, until=NOW),), "10.9.0.105", None),
        ((active("10.9.0.105"),), "10.9.0.105", None),
    ],
)
def test_why_an_address_is_refused(leases: tuple[Lease, ...], wanted: str, why: str | None) -> None:
    said = refusal(claim(*leases), A(wanted))
    assert said is None if why is None else why in str(said)


def test_servers_networks_and_other_peoples_addresses_are_never_given() -> None:
    subnet = replace(
        SUBNET,
        pool=(Pool(A("10.9.0.0"), A("10.9.0.255")),),
        router=A("10.9.0.254"),
        dns=(A("10.9.0.53"),),
    )
    given = claim(subnet=subnet, reservations={A("10.9.0.77"): OTHER_MAC})
    never = ("10.9.0.0", "10.9.0.255", "10.9.0.1", "10.9.0.254", "10.9.0.53", "10.9.0.77")
    assert all(refusal(given, A(each)) for each in never)
    book = LeaseBook()
    given_out = set()
    for mac in macs(300):
        address = choose_address(given._replace(mac=mac, leases=book, known=True), None)
        if isinstance(address, IPv4Address):
            book.put(active(str(address), mac))
            given_out.add(str(address))
    assert len(given_out) == 250
    assert not given_out & set(never)


def test_a_full_pool_says_so_and_a_subnet_without_pool_too() -> None:
    full = claim(*(active(f"10.9.0.{100 + number}", mac) for number, mac in enumerate(macs(10))))
    assert choose_address(full, None) == NoAddress("the pool of 10.9.0.0/24 is exhausted")
    none = choose_address(claim(subnet=replace(SUBNET, pool=())), None)
    assert isinstance(none, NoAddress)
    assert "no pool" in none.reason


def test_a_flood_of_invented_clients_leaves_room_for_a_known_one_and_passes() -> None:
    subnet = replace(SUBNET, pool=(Pool(A("10.9.0.2"), A("10.9.0.201")),))
    book, refused = LeaseBook(), 0
    for mac in macs(1000):
        address = choose_address(claim(mac=mac, leases=book, subnet=subnet), None)
        if isinstance(address, NoAddress):
            refused += 1
        else:
            book.put(hold(str(address), mac))
    assert (book.hold_count(NOW), refused) == (100, 900)
    assert isinstance(choose_address(claim(leases=book, subnet=subnet, known=True), None), IPv4Address)
    later = claim(leases=book, subnet=subnet, now=NOW + HOLD_S + 1)
    assert isinstance(choose_address(later, None), IPv4Address)


def test_a_client_tends_to_the_same_address_and_clients_spread() -> None:
    subnet = replace(SUBNET, pool=(Pool(A("10.9.0.2"), A("10.9.0.201")),))
    first = [chosen(claim(mac=mac, subnet=subnet)) for mac in macs(50)]
    assert first == [chosen(claim(mac=mac, subnet=subnet)) for mac in macs(50)]
    assert len(set(first)) > 30
