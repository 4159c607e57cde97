"""Which addresses nobody has, so that one is found in a full pool as soon as in an empty one.

A byte for each address, in pages that are made when the first address of one is taken: the next byte that is zero is
found by C.  Memory follows the leases, at most 16 MiB for a network of 2^24 addresses.  What is taken becomes vacant by
itself when its time has passed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

_BITS = 12
_PAGE = 1 << _BITS
# Times that no longer count stay in the queue until there are so many for each one that counts.
_STALE, _STALE_MIN = 2, 64


class Vacancies:
    """Addresses as whole numbers."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._until: dict[int, float] = {}
        # When to look at an address again; the first time of each is never later than that in `_until`.
        self._due: list[tuple[float, int]] = []

    def take(self, number: int, until: float) -> None:
        """Somebody has the address until then, whatever was said before."""
        before = self._until.get(number)
        self._until[number] = until
        if before is None:
            self._page(number)[number % _PAGE] = 1
        elif until >= before:
            return
        heapq.heappush(self._due, (until, number))
        if len(self._due) > _STALE * len(self._until) + _STALE_MIN:
            self._due = sorted((until, number) for number, until in self._until.items())

    def free(self, number: int) -> None:
        """Nobody has it any more."""
        if self._until.pop(number, None) is not None:
            self._page(number)[number % _PAGE] = 0

    def among(self, numbers: range, now: float) -> Iterator[int]:
        """Those of `numbers`, in their order, that nobody has at `now`; time does not go back."""
        self._let_pass(now)
        at, end = numbers.start, numbers.stop
        while at < end:
            page, first = self._pages.get(at >> _BITS), at & -_PAGE
            place = at - first if page is None else page.find(0, at - first, end - first)
            if place < 0 or first + place >= end:
                at = first + _PAGE
                continue
            yield first + place
            at = first + place + 1

    def _let_pass(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, number = heapq.heappop(self._due)
            until = self._until.get(number)
            if until is None:
                continue
            if until <= now:
                self.free(number)
            else:
                heapq.heappush(self._due, (until, number))

    def _page(self, number: int) -> bytearray:
        page = self._pages.get(number >> _BITS)
        if page is None:
            page = self._pages[number >> _BITS] = bytearray(_PAGE)
        return page
