"""Waiting for a calm moment: in a rush, who only tells or learns from what happens lets those go first who answer.

All share one core, or at least Python's lock, with the answers that machines wait for.  A rush that does not end is
told in slices: whoever is answered meanwhile waits some milliseconds longer, not as long as a second's story takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sized

# It is calm when nothing was told for a moment that nobody notices.  Whoever follows events notices a second.
CALM_S, LONGEST_S = 0.02, 1.0
# Then so many at a time, some two milliseconds' work, and so long a pause after it.
SLICE, PAUSE_S = 100, 0.01


class CalmQueue:
    """When how much of `queue`, which others fill, may be dealt with.

    More than `full` of it never waits.  `closing` tells that we are to end, whoever else is held up.
    """

    def __init__(self, changed: threading.Condition, queue: Sized, *, full: int, closing: Callable[[], bool]) -> None:
        self._changed = changed
        self._queue = queue
        self._full = full
        self._closing = closing
        self._rushed = False

    def wait(self) -> int:
        """Wait while the queue grows: for a second at most, or a pause if it grew the last time, or until it is full.

        Returns how many to deal with before the next call.  `changed` is held by the caller, and released meanwhile.
        """
        look_s, longest_s = (PAUSE_S, PAUSE_S) if self._rushed else (CALM_S, LONGEST_S)
        until, before = time.monotonic() + longest_s, -1
        while before != (there := len(self._queue)) < self._full and not self._closing() and time.monotonic() < until:
            before = there
            self._changed.wait_for(self._closing, look_s)
        self._rushed = before != there and not self._closing()
        return max(SLICE, there - self._full) if self._rushed else there
