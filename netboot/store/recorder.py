"""The event recorder: anybody tells it what happened, and goes on at once.

Telling must never hold up a boot, so `record` only puts the event into a bounded queue; a thread of the
recorder's own gives each event its boot and writes what has gathered, many in one transaction.  It waits for a calm
moment, for a second at most, and then goes on in slices: in a rush whoever waits for an answer goes first.  When the
database cannot be written, events wait; when too many wait, new ones are dropped and counted, and the count is
recorded as soon as writing works again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from sqlalchemy.exc import IntegrityError

from netboot.errors import NetbootError
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.store.calm import CalmQueue
from netboot.store.events import EventRepository

BeginsBoot = Callable[[Sequence[Event], Event], bool]

# A thousand clients' boots at once are some 15,000 events; an event takes a kilobyte here at most.
CAPACITY = 60_000
# Large enough that a commit's fsync is shared, small enough that leases are not kept from the database.
BATCH = 500
# The boots whose story is at hand; the story of any other client is read from the database when it is due.
REMEMBERED_CLIENTS = 4096
LONGEST_STORY = 256
RETRY_S = 1.0
# When so much of the queue is full, it is written whether it is calm or not.
FULL = 0.5

log = logging.getLogger(__name__)


class EventRecorder:
    """Writes events in the order in which they were told.  Ends with `close`, or with its `with` block."""

    def __init__(self, repository: EventRepository, begins_boot: BeginsBoot, *, capacity: int = CAPACITY) -> None:
        self._stories = _Stories(repository, begins_boot)
        self._repository = repository
        self._capacity = capacity
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._dropped = 0
        self._told = self._settled = 0
        self._gathered = 0  # so many of those that wait are to be written now
        self._closing = False
        self._failing = False
        self._calm = CalmQueue(self._changed, self._waiting, full=int(capacity * FULL), closing=lambda: self._closing)
        self._thread = threading.Thread(target=self._run, name="event-recorder", daemon=True)
        self._thread.start()

    def record(self, event: Event) -> None:
        """Take an event; from any thread, without waiting.  Dropped when the queue is full or closed."""
        with self._changed:
            if self._closing:
                return
            if len(self._waiting) >= self._capacity:
                self._dropped += 1
                return
            self._waiting.append(event)
            self._told += 1
            if len(self._waiting) == 1:  # else the writer knows already; waking it each time costs more than the event
                self._changed.notify_all()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was recorded before is on disk; whether it is."""
        with self._changed:
            goal = self._told
            return self._changed.wait_for(lambda: self._settled >= goal, timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, and end.  What cannot be written by then is lost, and the log says how much."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while batch := self._next_batch():
            if not self._write(batch):
                log.error("%d events could not be recorded and are lost", self._told - self._settled)
                return

    def _next_batch(self) -> list[Event]:
        """What to write next, at most `BATCH`; empty when all is told and we are to end."""
        with self._changed:
            if not self._gathered:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                self._gathered = min(self._calm.wait(), len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(min(BATCH, self._gathered))]
            self._gathered -= len(batch)
            if self._dropped:
                details = {"count": self._dropped}
                batch.append(Event(at=time.time(), kind=EventKind.EVENTS_DROPPED, details=details))
                self._told += 1
                self._dropped = 0
            return batch

    def _write(self, batch: list[Event]) -> bool:
        """Whether the batch is settled; tried until it is, and once more when we are to end."""
        while not self._try(batch):
            with self._changed:
                closing = self._changed.wait_for(lambda: self._closing, RETRY_S)
            if closing:
                return self._try(batch)
        return True

    def _try(self, batch: list[Event]) -> bool:
        """Whether there is nothing more to do: the batch is written, or can never be."""
        try:
            self._append(batch)
        except NetbootError as error:
            if not self._failing:
                log.warning("events cannot be recorded until this is mended: %s", error)
            self._failing = True
            return False
        except Exception:
            # One event that no database takes must not end the story of all others.
            log.exception("%d events could not be recorded and are lost", len(batch))
        if self._failing:
            log.warning("events are recorded again")
        self._failing = False
        self._settle(len(batch))
        return True

    def _append(self, batch: list[Event]) -> None:
        try:
            written = self._repository.append(self._stories.assign(batch))
        except IntegrityError:
            # A boot that went on may have been pruned meanwhile; after a look into the database it is begun anew.
            self._stories.forget()
            written = self._repository.append(self._stories.assign(batch))
        self._stories.keep(written)

    def _settle(self, count: int) -> None:
        with self._changed:
            self._settled += count
            self._changed.notify_all()


class _Stories:
    """The current boot of each client: which boot an event belongs to depends on what came before it."""

    def __init__(self, repository: EventRepository, begins_boot: BeginsBoot) -> None:
        self._repository = repository
        self._begins_boot = begins_boot
        self._current: OrderedDict[MacAddress, tuple[Event, ...]] = OrderedDict()

    def assign(self, batch: Sequence[Event]) -> list[Event]:
        """The events with their boots; a boot that begins here has a negative number of its own."""
        self._read_missing({event.mac for event in batch if event.mac is not None})
        fresh: dict[MacAddress, tuple[Event, ...]] = {}
        assigned: list[Event] = []
        for event in batch:
            if event.mac is None:
                assigned.append(event)
                continue
            story = fresh.get(event.mac) or self._current[event.mac]
            if self._begins_boot(story, event):
                story = ()
            boot = story[-1].boot if story else -1 - len(assigned)
            assigned.append(event.placed(boot))
            fresh[event.mac] = (*story, assigned[-1])
        return assigned

    def keep(self, written: Sequence[Event]) -> None:
        """Remember what was written, so that the next event of its clients needs no question."""
        for event in written:
            if event.mac is None:
                continue
            story = self._current.pop(event.mac, ())
            going_on = bool(story) and story[-1].boot == event.boot
            self._current[event.mac] = _shortened((*story, event)) if going_on else (event,)
        while len(self._current) > REMEMBERED_CLIENTS:
            self._current.popitem(last=False)

    def forget(self) -> None:
        self._current.clear()

    def _read_missing(self, macs: set[MacAddress]) -> None:
        """Look up, in one go, the stories of clients that are not at hand."""
        missing = {mac for mac in macs if mac not in self._current}
        if not missing:
            return
        found = self._repository.latest_boots(missing)
        for mac in missing:
            self._current[mac] = found[mac].events if mac in found else ()


def _shortened(story: tuple[Event, ...]) -> tuple[Event, ...]:
    """Of a client that tries the same for hours, the last event of each kind says as much as all of them."""
    if len(story) <= LONGEST_STORY:
        return story
    last = {event.kind: event for event in story}
    return tuple(sorted(last.values(), key=lambda event: event.id or 0))
