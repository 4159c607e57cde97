"""Addresses lent for a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import NamedTuple

from netboot.model.mac import MacAddress


class LeaseState(StrEnum):
    """`offered` holds an address for a client that has not asked yet and is never durable."""

    OFFERED = "offered"
    ACTIVE = "active"
    RELEASED = "released"
    DECLINED = "declined"


class Lease(NamedTuple):
    """One address and who holds it.  Times are Unix seconds; a declined address is held by nobody until then.

    A tuple, as every exchange makes two: it is made in a third of the time of a frozen dataclass.
    """

    address: IPv4Address
    mac: MacAddress
    state: LeaseState
    expires_at: float
    client_id: bytes | None = None
    hostname: str | None = None

    def holds(self, now: float) -> bool:
        """Whether the address is taken at `now`: lent, held for an offer, or in quarantine."""
        return self.state is not LeaseState.RELEASED and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Pool:
    """An inclusive range of addresses."""

    first: IPv4Address
    last: IPv4Address

    def __contains__(self, address: object) -> bool:
        return isinstance(address, IPv4Address) and int(address) in self.numbers

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def numbers(self) -> range:
        """The addresses as whole numbers, for who looks at many."""
        return range(int(self.first), int(self.last) + 1)
