"""Sockets that wait for their turn: an epoll of their own, in which the event loop waits as for one descriptor.

The loop's own bookkeeping costs more than most requests do, for each socket that begins or ceases to be watched.
"""

from __future__ import annotations

import asyncio
import select
from typing import Protocol

# At most so many sockets have their turn before DHCP has its own.
_AT_ONCE = 64

READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT


class Waiter(Protocol):
    """`ready` is called when what is waited for can be done, or the peer went away; it must not raise."""

    def fileno(self) -> int: ...

    def ready(self, *, gone: bool) -> None: ...


class Turns:
    """Who waits for what.  Begins with `open`; ends with `close`."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._waiting: dict[int, tuple[Waiter, int]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._poll.fileno(), self._turn)

    def wait(self, waiter: Waiter, events: int) -> None:
        """For `READABLE` or `WRITABLE`, as long as it is; 0 for the peer's going away alone."""
        descriptor = waiter.fileno()
        known = self._waiting.get(descriptor)
        if known is None:
            self._poll.register(descriptor, events)
        elif known[1] != events:
            self._poll.modify(descriptor, events)
        else:
            return
        self._waiting[descriptor] = waiter, events

    def leave(self, waiter: Waiter) -> None:
        """Before its descriptor is closed."""
        if self._waiting.pop(waiter.fileno(), None) is not None:
            self._poll.unregister(waiter.fileno())

    def close(self) -> None:
        self._loop.remove_reader(self._poll.fileno())
        self._poll.close()
        self._waiting.clear()

    def _turn(self) -> None:
        due = [
            (descriptor, self._waiting.get(descriptor), events) for descriptor, events in self._poll.poll(0, _AT_ONCE)
        ]
        for descriptor, known, events in due:
            now = self._waiting.get(descriptor)
            # Else one before it ended this one, and the descriptor may be a newcomer's by now.
            if known and now and now[0] is known[0]:
                now[0].ready(gone=not events & (READABLE | WRITABLE))
