"""What was found a moment ago: firmware that fetches a file in ranges asks the same a hundred times a second."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

# As long as the copy of the clients may be behind (netboot.store.directory); no admin notices.
FRESH_S = 0.1
_KEPT_MAX = 4096

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Fresh(Generic[K, V]):
    """Findings by key, each for `FRESH_S` by `clock`; in bounded memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._found: dict[K, V] = {}
        self._until = 0.0

    def get(self, key: K) -> V | None:
        now = self._clock()
        # All go together with the eldest, so none is older than that; also when the clock was put back.
        if not self._until - FRESH_S <= now < self._until:
            self._found.clear()
            self._until = now + FRESH_S
        return self._found.get(key)

    def put(self, key: K, value: V) -> None:
        if len(self._found) < _KEPT_MAX:
            self._found[key] = value
