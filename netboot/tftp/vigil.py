"""Whether the next packet is awaited awake.  Pure: it counts, and neither looks nor sleeps itself.

To wake a sleeping thread takes tens of microseconds, more than some clients need for their answer: virtual machines on
this host, and whatever else is near.  While few transfers run, the loop therefore looks a few times before it
sleeps.  Where clients are farther away than that, looking is in vain and soon given up, but for a try now and then.
"""

from __future__ import annotations

# With more transfers there is hardly ever nothing to do.
_FEW_TRANSFERS = 4
# A look takes about a microsecond, so that this is what a wake-up costs.
_LOOKS = 32
# So often in vain, one after the other, before it is given up; and so many packets until the next try.
_PATIENCE = 8
_PAUSE = 64


class Vigil:
    """Remembers how it went of late."""

    def __init__(self) -> None:
        self._patience = _PATIENCE
        self._pause = 0

    def looks(self, transfers: int) -> int:
        """How often to look before the next sleep, while so many transfers run."""
        if not 0 < transfers <= _FEW_TRANSFERS:
            return 0
        if self._pause:
            self._pause -= 1
            return 0
        return _LOOKS

    def seen(self) -> None:
        """A look found something."""
        self._patience = _PATIENCE

    def in_vain(self) -> None:
        """None of the looks did."""
        self._patience -= 1
        if self._patience == 0:
            self._patience, self._pause = 1, _PAUSE
