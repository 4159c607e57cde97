"""A machine that fetches the same file again and again goes in a circle: an alarm for whoever can break it.

iPXE without a script of its own that is told to boot iPXE, firmware that starts the loader and finds it wanting, a
loader that crashes: all look alike from here, the same file leaves every few seconds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress

# So many times the same file within so long.  No machine passes its self-test as often when it is only restarted.
TIMES = 5
WITHIN_S = 60.0
# Whoever invents clients pushes out others, and nothing more.
_CLIENTS_MAX = 4096

_FETCHES = (EventKind.LOADER_SENT, EventKind.SCRIPT_SENT)


class LoopWatch:
    """Hands every event on to `record`, and an alarm after the one that closes a circle; from any thread."""

    def __init__(self, record: Callable[[Event], None]) -> None:
        self._record = record
        self._fetched: OrderedDict[tuple[MacAddress, str], deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, event: Event) -> None:
        self._record(event)
        if event.kind in _FETCHES and (alarm := self._seen(event)):
            self._record(alarm)

    def _seen(self, event: Event) -> Event | None:
        if event.mac is None:
            return None
        file = str(event.details.get("file") or f"the script of {event.details.get('loader')}")
        with self._lock:
            times = self._fetched.setdefault((event.mac, file), deque(maxlen=TIMES))
            self._fetched.move_to_end((event.mac, file))
            if len(self._fetched) > _CLIENTS_MAX:
                self._fetched.popitem(last=False)
            times.append(event.at)
            if len(times) < TIMES or event.at - times[0] > WITHIN_S:
                return None
            times.clear()  # the next alarm after as many times again
        details: dict[str, Detail] = {"file": file, "times": TIMES, "within_s": WITHIN_S}
        return Event(at=event.at, kind=EventKind.LOADER_LOOPS, mac=event.mac, details=details)
