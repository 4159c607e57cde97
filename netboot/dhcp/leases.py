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

    def holder(self, address: IPv4Address, now: float) -> MacAddress | None:
        """Whose address it is now, by lease or by hold."""

    def hold_count(self, now: float) -> int:
        """How many offers are waiting for their REQUEST."""


class LeaseBook:
    """The one table.  `put` is the one way to change it."""

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        self._leases: dict[IPv4Address, Lease] = {}
        self._address_of: dict[MacAddress, IPv4Address] = {}
        self._holds: dict[IPv4Address, Lease] = {}
        self._hold_of: dict[MacAddress, IPv4Address] = {}
        # The lease that decides where a client is must come last: an active one, else the youngest.
        for lease in sorted(leases, key=lambda each: (each.state is LeaseState.ACTIVE, each.expires_at)):
            self.put(lease)

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._leases.values()))

    def put(self, lease: Lease) -> None:
        """Write one line: a hold when it is `offered` (one that expires at 0 is dropped), else a lease."""
        if lease.state is LeaseState.OFFERED:
            self._put_hold(lease)
            return
        self._drop_hold(lease.mac)
        before = self._leases.get(lease.address)
        if before is not None and self._address_of.get(before.mac) == lease.address:
            del self._address_of[before.mac]
        self._leases[lease.address] = lease
        if lease.state is not LeaseState.DECLINED:
            self._address_of[lease.mac] = lease.address

    def lease_of(self, mac: MacAddress) -> Lease | None:
        address = self._address_of.get(mac)
        return None if address is None else self._leases[address]

    def hold_of(self, mac: MacAddress, now: float) -> Lease | None:
        address = self._hold_of.get(mac)
        hold = None if address is None else self._holds[address]
        return hold if hold is not None and hold.holds(now) else None

    def lease_at(self, address: IPv4Address) -> Lease | None:
        return self._leases.get(address)

    def hold_at(self, address: IPv4Address) -> Lease | None:
        return self._holds.get(address)

    def taken(self, address: IPv4Address, *, mac: MacAddress, now: float) -> bool:
        lease = self._leases.get(address)
        if lease is not None and lease.holds(now) and (lease.mac != mac or lease.state is LeaseState.DECLINED):
            return True
        hold = self._holds.get(address)
        return hold is not None and hold.mac != mac and hold.holds(now)

    def holder(self, address: IPv4Address, now: float) -> MacAddress | None:
        for line in (self._leases.get(address), self._holds.get(address)):
            if line is not None and line.state is not LeaseState.DECLINED and line.holds(now):
                return line.mac
        return None

    def hold_count(self, now: float) -> int:
        self._forget_holds(now)
        return len(self._holds)

    def _put_hold(self, hold: Lease) -> None:
        self._drop_hold(hold.mac)
        if before := self._holds.get(hold.address):
            self._drop_hold(before.mac)
        if hold.expires_at > 0:
            self._holds[hold.address] = hold
            self._hold_of[hold.mac] = hold.address

    def _drop_hold(self, mac: MacAddress) -> None:
        address = self._hold_of.pop(mac, None)
        if address is not None:
            del self._holds[address]

    def _forget_holds(self, now: float) -> None:
        """Holds last equally long and stand in the order they were given, so the oldest stand first."""
        while self._holds:
            oldest = next(iter(self._holds.values()))
            if oldest.holds(now):
                return
            self._drop_hold(oldest.mac)
