"""The clients in memory, for whoever asks for them with every packet.

A boot asks a dozen times who a client is; the answer comes from a copy that is at most `max_age_s` old.  The
copy is one immutable value that is replaced as a whole, so readers need no lock.  When the database cannot be
asked, the last copy stays in force: clients that booted a minute ago still boot.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType

from netboot.errors import NetbootError
from netboot.model.client import Client
from netboot.model.mac import MacAddress
from netboot.store.clients import ClientRepository

# An admin who assigns an image and switches the client on never meets the old answer.
MAX_AGE_S = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Copy:
    """By octets and numbers, which hash in C, as every packet asks."""

    revision: int
    by_mac: Mapping[bytes, Client]
    by_address: Mapping[int, Client]


class ClientDirectory:
    """Every client, from memory; safe to ask from any thread."""

    def __init__(
        self,
        repository: ClientRepository,
        *,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads all clients, so that a database that cannot be read is noticed here and not in the first boot."""
        self._repository = repository
        self._max_age_s = max_age_s
        self._clock = clock
        self._refreshing = threading.Lock()
        self._failing = False
        self._copy = self._read()
        self._asked_at = clock()

    def find(self, mac: MacAddress) -> Client | None:
        """The client with this MAC address, None when nobody added one."""
        return self._current().by_mac.get(mac.octets)

    def reserved(self, address: IPv4Address) -> Client | None:
        """The client for which this address is reserved."""
        return self._current().by_address.get(int(address))

    def list(self) -> tuple[Client, ...]:
        """Every client, by name."""
        return tuple(self._current().by_mac.values())

    def _current(self) -> _Copy:
        # Whoever finds the lock taken uses the copy at hand: a packet never waits for another's question.
        if self._clock() - self._asked_at >= self._max_age_s and self._refreshing.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._refreshing.release()
        return self._copy

    def _refresh(self) -> None:
        try:
            if self._repository.revision() != self._copy.revision:
                self._copy = self._read()
            self._failing = False
        except NetbootError as error:
            if not self._failing:
                log.warning("the clients cannot be read, so the last known ones stay in force: %s", error)
            self._failing = True
        self._asked_at = self._clock()

    def _read(self) -> _Copy:
        revision, clients = self._repository.snapshot()
        return _Copy(
            revision=revision,
            by_mac=MappingProxyType({each.mac.octets: each for each in clients}),
            by_address=MappingProxyType({int(each.address): each for each in clients if each.address}),
        )
