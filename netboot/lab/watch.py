"""Following the boots of a lab: the daemon's events as they come, and when to stop waiting for a client.

The lab reads what every reader does, the events in the daemon's database.  It adds one case that the daemon cannot
know: a client that was switched on and never heard of.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netboot.boot.progress import verdict
from netboot.errors import Unavailable
from netboot.lab.network import Seat
from netboot.model.boot import Boot, Outcome, Verdict
from netboot.model.event import Event, EventKind
from netboot.store.database import open_database
from netboot.store.events import EventRepository

# From power-on to the first DISCOVER: firmware takes 2 to 5 s when the machine is idle, see `netboot.lab.client`.
SILENCE_LIMIT_S = 30.0

LOOK_S = 0.25  # how often the database is asked for news


class BootWatch:
    """The events of a lab's daemon, whose data directory is `state`; used with `with`."""

    def __init__(self, state: Path, seats: Sequence[Seat]) -> None:
        self._engine = open_database(state)
        self._events = EventRepository(self._engine)
        self._seats = {seat.mac: seat for seat in seats}
        self._last_id = 0

    def new_events(self) -> Iterator[tuple[Seat, Event]]:
        """What happened to the lab's clients since the last call."""
        for event in self._events.after(self._last_id):
            self._last_id = event.id or self._last_id
            if event.mac in self._seats:
                yield self._seats[event.mac], event

    def boot(self, seat: Seat) -> Boot | None:
        """The client's latest boot."""
        return self._events.latest_boot(seat.mac)

    def wait_for(self, seat: Seat, kind: EventKind, *, timeout_s: float) -> Event:
        """Wait for an event of the client's latest boot; `Unavailable` tells how far that came."""
        deadline = time.monotonic() + timeout_s
        while True:
            boot = self.boot(seat)
            events = boot.events if boot else ()
            if found := next((each for each in events if each.kind is kind), None):
                return found
            if time.monotonic() > deadline:
                story = ", ".join(each.kind for each in events) or "nothing"
                raise Unavailable(f"{seat.name} did not reach {kind} within {timeout_s:g} s; it has: {story}")
            time.sleep(LOOK_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()


def judge(boot: Boot | None, *, on_since: float, now: float, patience: float) -> Verdict:
    """What to think at `now` of a client that was switched on at `on_since`."""
    if boot:
        return verdict(boot, now=now, patience=patience)
    if now - on_since <= SILENCE_LIMIT_S * patience:
        return Verdict(outcome=Outcome.BOOTING, reached=None, missing=EventKind.DISCOVERED)
    return Verdict(
        outcome=Outcome.STALLED,
        reached=None,
        missing=EventKind.DISCOVERED,
        cause="the client was switched on, but the daemon never heard of it",
        hint="read the client's console: its firmware may not have tried to boot from the network",
    )
