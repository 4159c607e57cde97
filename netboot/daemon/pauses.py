"""What Python does for itself, kept from holding up answers: its search for garbage in circles, and its threads' turns.

A full search looks at every object there is, holds everything up meanwhile (0.1 s with 20,000 leases), and by default
comes as often as objects have grown by a quarter: in the midst of the rush that made them.  Nearly all that the daemon
drops is freed without it, by counting references; so it is left to a quiet time, and what the daemon has built by the
time that it serves is never looked at again.

A thread that computes keeps Python's lock for 5 ms when another wants it back, and the answers' loop gives the lock up
with every packet that it receives.
"""

from __future__ import annotations

import gc
import sys

# Objects more than before until the young are searched, which takes a millisecond; every 20th time those of the last 19
# searches too; all of them next to never.
_THRESHOLDS = 10_000, 20, 10_000


# As long as some ten answers take; shorter turns cost more than they give.
_TURN_S = 0.0005


def spare_pauses() -> None:
    """Once, when all parts are built."""
    sys.setswitchinterval(_TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def search_all() -> None:
    """The full search, now and then."""
    gc.collect()
