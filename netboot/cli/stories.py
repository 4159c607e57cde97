"""Reading boots for commands: whose boot is meant, how patient to be, and what to think of it now.

How long a step may take is the daemon's setting; the daemon says it in its `server-started` event, so that a
reader who has no configuration file comes to the daemon's own verdict.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from netboot.boot.progress import verdict
from netboot.errors import InvalidInput, NotFound
from netboot.model.boot import Boot, Verdict
from netboot.model.event import EventKind
from netboot.model.mac import MacAddress
from netboot.store import ClientRepository, Engine, EventRepository
from netboot.store.events import EventFilter

_SAYS_PATIENCE = EventFilter(kinds=frozenset({EventKind.SERVER_STARTED, EventKind.SERVER_RELOADED}))


class Stories:
    """Boots, their clients' names and their verdicts."""

    def __init__(self, engine: Engine) -> None:
        self.clients = ClientRepository(engine)
        self.events = EventRepository(engine)

    def names(self) -> Mapping[MacAddress, str]:
        return {client.mac: client.name for client in self.clients.list()}

    def name(self, mac: MacAddress) -> str | None:
        client = self.clients.find(mac)
        return client.name if client else None

    def mac(self, key: str) -> MacAddress:
        """The MAC address of a client; one that nobody added is known by its MAC address alone."""
        try:
            return self.clients.get(key).mac
        except NotFound:
            try:
                return MacAddress.parse(key)
            except InvalidInput:
                pass
            raise

    def latest(self, key: str) -> Boot | None:
        """The boot with this number, or the client's last boot; None when the client has not booted yet.

        A client whose name is a number is found by its name.
        """
        if key.isdecimal() and key not in self.names().values():
            return self.events.boot(int(key))
        return self.events.latest_boot(self.mac(key))

    def verdict(self, boot: Boot) -> Verdict:
        """What to think of a boot now."""
        return verdict(boot, now=time.time(), patience=self._patience())

    def _patience(self) -> float:
        for event in self.events.newest(1, only=_SAYS_PATIENCE):
            said = event.details.get("patience")
            if isinstance(said, int | float):
                return float(said)
        return 1.0
