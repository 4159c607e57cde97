"""Waiting for a calm moment: in a rush, who only tells or learns from what happens lets those go first who answer.

All share one core, or at least Python's lock, with the answers that machines wait for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sized

# It is calm when nothing was told for a moment that nobody notices.  Whoever follows events notices a second.
CALM_S, LONGEST_S = 0.02, 1.0


def wait_until_calm(changed: threading.Condition, queue: Sized, *, full: int, closing: Callable[[], bool]) -> None:
    """Wait while `queue`, which others fill, grows: for a second at most, until it is `full`, or until we are to end.

    `changed` is held by the caller, and released while we wait.
    """
    until, before = time.monotonic() + LONGEST_S, -1
    while before != len(queue) < full and not closing() and time.monotonic() < until:
        before = len(queue)
        changed.wait_for(closing, CALM_S)
