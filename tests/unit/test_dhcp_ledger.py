"""The leases of all networks: written in the order of the decisions, kept through reloads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

import pytest

from netboot.dhcp.ledger import Ledger
from netboot.model.lease import Lease, LeaseState
from tests.dhcp_kit import NOW, Shelf, active
from tests.kit import MAC, OTHER_MAC

HOME, FAR = IPv4Network("10.9.0.0/24"), IPv4Network("10.8.0.0/24")
LEASE = active("10.9.0.105")
HOLD = Lease(address=IPv4Address("10.9.0.106"), mac=OTHER_MAC, state=LeaseState.OFFERED, expires_at=NOW + 60)


class Gated(Shelf):
    """A store whose writes wait for the gate, and then fail as long as it is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.broken = False
        self.writes: list[list[LeaseState]] = []

    def commit(self, leases: Sequence[Lease]) -> None:
        assert self.gate.wait(10)
        self.writes.append([each.state for each in leases])
        if self.broken:
            raise OSError("the disk is full")
        super().commit(leases)


def test_what_one_interface_decided_first_is_written_first_whoever_writes() -> None:
    """Two interfaces decide about one address in turn; the second's write must not be undone by the first's."""

    async def scene() -> None:
        store = Gated()
        ledger = Ledger(store, [HOME])
        other = active("10.9.0.1")
        ledger.enter([other])
        first = asyncio.create_task(ledger.commit())
        await asyncio.sleep(0)
        ledger.enter([LEASE])
        ledger.enter([LEASE._replace(state=LeaseState.RELEASED)])
        second, third = asyncio.create_task(ledger.commit()), asyncio.create_task(ledger.commit())
        store.gate.set()
        await asyncio.gather(first, second, third)
        assert store.kept[LEASE.address].state is LeaseState.RELEASED
        assert store.writes == [[LeaseState.ACTIVE], [LeaseState.RELEASED]]  # the third had nothing left to do

    asyncio.run(scene())


def test_who_waits_for_a_write_that_fails_is_told_although_another_wrote() -> None:
    async def scene() -> None:
        store = Gated()
        store.broken = True
        ledger = Ledger(store, [HOME])
        ledger.enter([LEASE])
        first, second = asyncio.create_task(ledger.commit()), asyncio.create_task(ledger.commit())
        store.gate.set()
        for task in (first, second):
            with pytest.raises(OSError, match="full"):
                await task
        store.broken = False
        await ledger.commit()
        assert list(store.kept) == [LEASE.address]

    asyncio.run(scene())


def test_a_hold_is_never_written() -> None:
    async def scene() -> None:
        store = Shelf()
        ledger = Ledger(store, [HOME])
        assert ledger.enter([HOLD, LEASE]) == [LEASE]
        await ledger.commit()
        assert list(store.kept) == [LEASE.address]
        assert ledger.hold_at(HOLD.address) == HOLD

    asyncio.run(scene())


def test_leases_outlive_the_daemon_each_in_its_own_networks_book() -> None:
    async def scene() -> None:
        store = Shelf()
        store.commit([LEASE, active("10.8.0.7"), active("10.7.0.7")])
        ledger = Ledger(store, [HOME, FAR])
        await ledger.load()
        assert ledger.book(HOME).lease_of(MAC) == LEASE
        assert ledger.book(FAR).lease_of(MAC) == active("10.8.0.7")
        assert ledger.lease_at(IPv4Address("10.7.0.7")) is None
        ledger.serve([HOME, FAR, IPv4Network("10.7.0.0/24")])
        assert ledger.lease_at(IPv4Address("10.7.0.7")) == active("10.7.0.7")

    asyncio.run(scene())


def test_a_reload_keeps_books_and_moves_what_stands_in_others() -> None:
    ledger = Ledger(Shelf(), [HOME, FAR])
    book = ledger.book(HOME)
    ledger.enter([HOLD, LEASE, active("10.8.0.7")])
    ledger.serve([HOME])
    assert ledger.book(HOME) is book
    assert ledger.enter([active("10.8.0.8")]) == []
    ledger.serve([IPv4Network("10.8.0.0/15")])
    wide = ledger.book(IPv4Network("10.8.0.0/15"))
    assert {str(each.address) for each in wide.lines()} == {"10.9.0.105", "10.9.0.106", "10.8.0.7"}
