"""All leases of the daemon: one book a network, and one order in which they are written.

A network may be reached by several interfaces, directly and through relays, so its book belongs to none of them.
What is written follows the order of the decisions whoever made them: a lease enters its book and the queue of lines
to write in one step, and one write takes along everything that waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from netboot.dhcp.leases import LeaseBook, LeaseStore
from netboot.model.lease import Lease, LeaseState
from netboot.model.networks import NetworkTable


class Ledger:
    """Used on one event loop alone."""

    def __init__(self, store: LeaseStore, networks: Iterable[IPv4Network] = ()) -> None:
        self._store = store
        self._books = {network: LeaseBook() for network in networks}
        self._by_address = NetworkTable(self._books.items())
        # Leases of networks that the configuration does not name now: they count again when it does.
        self._elsewhere: list[Lease] = []
        # The last line of each address, so that it is bounded by the addresses however long a write may fail.
        self._waiting: dict[int, Lease] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Read the leases that outlived the last run."""
        self._arrange(await asyncio.to_thread(lambda: tuple(self._store.load())))

    def serve(self, networks: Iterable[IPv4Network]) -> None:
        """Keep books for these networks from now on; the book of a network that stays is the same as before."""
        wanted = set(networks)
        moved = list(self._elsewhere)
        for network in [each for each in self._books if each not in wanted]:
            moved += self._books.pop(network).lines()
        for network in wanted - self._books.keys():
            self._books[network] = LeaseBook()
        self._by_address = NetworkTable(self._books.items())
        self._arrange(moved)

    def book(self, network: IPv4Network) -> LeaseBook:
        """The book of a network that is served."""
        return self._books[network]

    def lease_at(self, address: IPv4Address) -> Lease | None:
        """The last lease of an address."""
        book = self._by_address.find(address)
        return book.lease_at(address) if book is not None else None

    def hold_at(self, address: IPv4Address) -> Lease | None:
        """The offer of an address that waits for its REQUEST."""
        book = self._by_address.find(address)
        return book.hold_at(address) if book is not None else None

    def enter(self, leases: Iterable[Lease]) -> list[Lease]:
        """Put lines into their books; those that must be durable before a client hears of them are returned."""
        durable = []
        for lease in leases:
            book = self._by_address.find(lease.address)
            if book is None:
                continue  # its network went with a reload while the packet was answered
            book.put(lease)
            if lease.state is not LeaseState.OFFERED:
                self._waiting[int(lease.address)] = lease
                durable.append(lease)
        return durable

    async def commit(self) -> None:
        """Make durable what was entered before this call; raises what the store raises, and keeps the lines then."""
        async with self._writing:
            lines, self._waiting = self._waiting, {}
            if not lines:
                return
            try:
                await asyncio.to_thread(self._store.commit, tuple(lines.values()))
            except BaseException:
                self._waiting = {**lines, **self._waiting}
                raise

    def _arrange(self, leases: Iterable[Lease]) -> None:
        """Give each lease to its network's book."""
        self._elsewhere = []
        parts: dict[int, tuple[LeaseBook, list[Lease]]] = {}
        for lease in leases:
            book = self._by_address.find(lease.address)
            if book is not None:
                parts.setdefault(id(book), (book, []))[1].append(lease)
            elif lease.state is not LeaseState.OFFERED:
                self._elsewhere.append(lease)
        for book, lines in parts.values():
            book.fill(lines)
