from __future__ import annotations

from ipaddress import IPv4Address

from netboot.dhcp.leases import LeaseBook
from netboot.model.lease import Lease, LeaseState
from tests.dhcp_kit import NOW, active, holder
from tests.kit import MAC, OTHER_MAC

X, Y = IPv4Address("10.9.0.100"), IPv4Address("10.9.0.101")
HOLD = Lease(address=X, mac=MAC, state=LeaseState.OFFERED, expires_at=NOW + 60)


def test_a_lease_is_found_by_client_and_by_address() -> None:
    book = LeaseBook([active(str(X))])
    assert book.lease_of(MAC) == book.lease_at(X) == active(str(X))
    assert book.lease_of(OTHER_MAC) is None
    assert book.taken(X, mac=OTHER_MAC, now=NOW)
    assert not book.taken(X, mac=MAC, now=NOW)
    assert holder(book, X, NOW) == MAC
    assert holder(book, X, NOW + 5000) is None


def test_the_active_lease_of_a_client_counts_whatever_order_they_are_loaded_in() -> None:
    released = active(str(Y), until=NOW + 9000)._replace(state=LeaseState.RELEASED)
    for leases in ([active(str(X)), released], [released, active(str(X))]):
        assert LeaseBook(leases).lease_of(MAC) == active(str(X))


def test_an_address_that_changes_hands_is_its_old_holders_no_more() -> None:
    book = LeaseBook([active(str(X), until=NOW - 1)])
    book.put(active(str(X), OTHER_MAC))
    assert book.lease_of(MAC) is None
    assert book.lease_of(OTHER_MAC) == active(str(X), OTHER_MAC)


def test_a_declined_address_is_nobodys() -> None:
    book = LeaseBook([active(str(X))])
    book.put(active(str(X))._replace(state=LeaseState.DECLINED))
    assert book.lease_of(MAC) is None
    assert book.taken(X, mac=MAC, now=NOW)
    assert holder(book, X, NOW) is None


def test_a_released_address_is_free_and_remembered() -> None:
    book = LeaseBook([active(str(X))._replace(state=LeaseState.RELEASED)])
    assert not book.taken(X, mac=OTHER_MAC, now=NOW)
    assert book.lease_of(MAC) is not None


def test_a_hold_keeps_its_address_for_its_time() -> None:
    book = LeaseBook()
    book.put(HOLD)
    assert (book.hold_of(MAC, NOW), book.hold_at(X), book.hold_count(NOW)) == (HOLD, HOLD, 1)
    assert book.taken(X, mac=OTHER_MAC, now=NOW)
    assert holder(book, X, NOW) == MAC
    assert book.hold_of(MAC, NOW + 60) is None
    assert not book.taken(X, mac=OTHER_MAC, now=NOW + 60)
    assert book.hold_count(NOW + 60) == 0
    assert book.hold_at(X) is None


def test_a_client_has_one_hold_and_a_lease_ends_it() -> None:
    book = LeaseBook()
    book.put(HOLD)
    book.put(HOLD._replace(address=Y))
    assert (book.hold_at(X), book.hold_count(NOW)) == (None, 1)
    book.put(active(str(Y)))
    assert book.hold_count(NOW) == 0


def test_a_hold_is_dropped_and_may_be_dropped_twice() -> None:
    book = LeaseBook()
    for _ in range(2):
        book.put(HOLD)
        book.put(HOLD._replace(expires_at=0.0))
        book.put(HOLD._replace(expires_at=0.0))
        assert book.hold_at(X) is None


def test_a_hold_does_not_touch_the_lease() -> None:
    book = LeaseBook([active(str(X))])
    book.put(HOLD._replace(address=Y))
    assert book.lease_of(MAC) == active(str(X))
    assert list(book) == [active(str(X))]
