"""The table of leases and holds in memory.

A lease is durable and is written before its ACK is sent (RFC 2131 section 3.1, step 4).  A hold keeps an offered
address for the client that was offered it and is never written.  One MAC has at most one current address,
whatever client identifiers its firmware, its loader and its system use: a diskless machine whose root hangs on
its address must keep it from DISCOVER to shutdown.  One address has at most one holder at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import Protocol

from netboot.dhcp.vacancies import Vacancies
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress


class LeaseStore(Protocol):
    """Where leases outlive the daemon.  `commit` blocks and is durable on return, all of it or nothing."""

    def load(self) -> Iterable[Lease]: ...

    def commit(self, leases: Sequence[Lease]) -> None: ...


class LeaseView(Protocol):
    """What decisions may ask."""

    def lease_of(self, mac: MacAddress) -> Lease | None:
        """The last lease of a client, also when it ran out or was released; never a declined one."""

    def hold_of(self, mac: MacAddress, now: float) -> Lease | None:
        """The hold of a client that still counts."""

    def lease_at(self, address: IPv4Address) -> Lease | None:
        """The last lease of an address."""

    def taken(self, address: IPv4Address, *, mac: MacAddress, now: float) -> bool:
        """Whether somebody other than `mac` has the address, or nobody may have it (quarantine)."""

    def vacant(self, numbers: range, now: float) -> Iterator[int]:
        """The addresses among these, in their order, that nobody has and that are not in quarantine."""

    def hold_count(self, now: float) -> int:
        """How many offers are waiting for their REQUEST."""


_RANKS = {LeaseState.ACTIVE: 1, LeaseState.OFFERED: 2}


class LeaseBook:
    """The one table of a network.  `put` is the one way to change it.

    Inside, addresses are whole numbers and MACs are bytes: those hash in C, and every packet asks several times.
    """

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        self._leases: dict[int, Lease] = {}
        self._lease_of: dict[bytes, Lease] = {}
        self._holds: dict[int, Lease] = {}
        self._hold_of: dict[bytes, Lease] = {}
        self._vacancies = Vacancies()
        self.fill(leases)

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._leases.values()))

    def lines(self) -> tuple[Lease, ...]:
        """Every lease and every hold."""
        return (*self._leases.values(), *self._holds.values())

    def fill(self, leases: Iterable[Lease]) -> None:
        """Put many at once, in an order of their own: holds after leases, since a lease ends its client's hold.

        The lease that decides where a client is must come last: an active one, else the youngest.
        """
        for lease in sorted(leases, key=lambda each: (_RANKS.get(each.state, 0), each.expires_at)):
            self.put(lease)

    def put(self, lease: Lease) -> None:
        """Write one line: a hold when it is `offered` (one that expires at 0 is dropped), else a lease."""
        if lease.state is LeaseState.OFFERED:
            self._put_hold(lease)
            return
        self._drop_hold(lease.mac.octets)
        key = int(lease.address)
        before = self._leases.get(key)
        if before is not None and self._lease_of.get(before.mac.octets) is before:
            del self._lease_of[before.mac.octets]
        self._leases[key] = lease
        if lease.state is not LeaseState.DECLINED:
            self._lease_of[lease.mac.octets] = lease
        self._note(key)

    def lease_of(self, mac: MacAddress) -> Lease | None:
        return self._lease_of.get(mac.octets)

    def hold_of(self, mac: MacAddress, now: float) -> Lease | None:
        hold = self._hold_of.get(mac.octets)
        return hold if hold is not None and hold.holds(now) else None

    def lease_at(self, address: IPv4Address) -> Lease | None:
        return self._leases.get(int(address))

    def hold_at(self, address: IPv4Address) -> Lease | None:
        return self._holds.get(int(address))

    def taken(self, address: IPv4Address, *, mac: MacAddress, now: float) -> bool:
        key = int(address)
        lease = self._leases.get(key)
        if (
            lease is not None
            and lease.holds(now)
            and (lease.mac.octets != mac.octets or lease.state is LeaseState.DECLINED)
        ):
            return True
        hold = self._holds.get(key)
        return hold is not None and hold.mac.octets != mac.octets and hold.holds(now)

    def vacant(self, numbers: range, now: float) -> Iterator[int]:
        return self._vacancies.among(numbers, now)

    def hold_count(self, now: float) -> int:
        self._forget_holds(now)
        return len(self._holds)

    def _put_hold(self, hold: Lease) -> None:
        self._drop_hold(hold.mac.octets)
        key = int(hold.address)
        if before := self._holds.get(key):
            self._drop_hold(before.mac.octets)
        if hold.expires_at > 0:
            self._holds[key] = self._hold_of[hold.mac.octets] = hold
            self._note(key)

    def _drop_hold(self, octets: bytes) -> None:
        hold = self._hold_of.pop(octets, None)
        if hold is not None:
            key = int(hold.address)
            del self._holds[key]
            self._note(key)

    def _note(self, key: int) -> None:
        """Until when the address is taken, by its lease or by its hold."""
        lease, hold = self._leases.get(key), self._holds.get(key)
        until = 0.0 if lease is None or lease.state is LeaseState.RELEASED else lease.expires_at
        if hold is not None and hold.expires_at > until:
            until = hold.expires_at
        if until > 0:
            self._vacancies.take(key, until)
        else:
            self._vacancies.free(key)

    def _forget_holds(self, now: float) -> None:
        """Holds last equally long and stand in the order they were given, so the oldest stand first."""
        while self._holds:
            oldest = next(iter(self._holds.values()))
            if oldest.holds(now):
                return
            self._drop_hold(oldest.mac.octets)
