"""When a client may fetch what is its own: from the moment that it asks for an address as firmware does until its root
is mounted.

So neither a program of a running client nor whoever has its address later can fetch it again.  A DISCOVER opens the
window, since it comes from a port that only root may use; a script alone does not, as anybody can ask for one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

from netboot.model.boot import Boot
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress

# A client that has tried for so long starts afresh, which opens the window anew.
OPEN_S = 1800.0
_KEPT_MAX = 4096
_ENDS = frozenset({EventKind.ROOT_MOUNTED, EventKind.UP})


class BootWindows:
    """Who is on its way.  `latest_boot` tells of boots before this run, and may block."""

    def __init__(self, latest_boot: Callable[[MacAddress], Boot | None], clock: Callable[[], float]) -> None:
        self._latest_boot = latest_boot
        self._clock = clock
        self._opened: OrderedDict[MacAddress, float | None] = OrderedDict()
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Take what an event shows; from any thread, without waiting."""
        if event.mac is None:
            return
        if event.kind is EventKind.DISCOVERED:
            self.open(event.mac)
        elif event.kind in _ENDS:
            self._keep(event.mac, None)

    def open(self, mac: MacAddress) -> None:
        self._keep(mac, self._clock())

    def is_open(self, mac: MacAddress) -> bool:
        """Whether the client is on its way to its root.  May block, after a restart."""
        with self._lock:
            known, opened = mac in self._opened, self._opened.get(mac)
        if not known:
            boot = self._latest_boot(mac)
            opened = _opened_in(boot.events) if boot is not None else None
        return opened is not None and 0 <= self._clock() - opened < OPEN_S

    def _keep(self, mac: MacAddress, opened: float | None) -> None:
        with self._lock:
            self._opened.pop(mac, None)
            self._opened[mac] = opened
            if len(self._opened) > _KEPT_MAX:
                self._opened.popitem(last=False)


def _opened_in(events: Iterable[Event]) -> float | None:
    """When the window was opened that these events, in order, leave open.  A running system's DHCP opens none."""
    opened = None
    for event in events:
        if event.kind is EventKind.DISCOVERED:
            opened = event.at
        elif event.kind in _ENDS:
            opened = None
    return opened
