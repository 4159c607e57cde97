"""Routes to networks, and which of several networks holds an address: by bisection over tables that are made once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Route(NamedTuple):
    """The way to a network: by a gateway."""

    network: IPv4Network
    gateway: IPv4Address

    def __str__(self) -> str:
        return f"{self.network} via {self.gateway}"


class NetworkTable(Generic[T]):
    """One value a network; the networks do not overlap."""

    def __init__(self, entries: Iterable[tuple[IPv4Network, T]] = ()) -> None:
        by_place = sorted(entries, key=lambda entry: int(entry[0].network_address))
        self._firsts = [int(network.network_address) for network, _ in by_place]
        self._lasts = [int(network.broadcast_address) for network, _ in by_place]
        self._values = [value for _, value in by_place]

    def find(self, address: IPv4Address) -> T | None:
        """The value of the network that holds `address`, None when none does."""
        number = int(address)
        at = bisect_right(self._firsts, number) - 1
        return self._values[at] if at >= 0 and number <= self._lasts[at] else None

    def values(self) -> tuple[T, ...]:
        """Every value, by network."""
        return tuple(self._values)
