"""How often one client may report: a token bucket for each address, in bounded memory.  Pure; `now` is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class Buckets:
    """Each key may act `burst` times at once and then every `refill_s` seconds."""

    def __init__(self, *, burst: int, refill_s: float, kept_max: int = 4096) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._kept_max = kept_max
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Whether the key may act now."""
        level, since = self._levels.pop(key, (float(self._burst), now))
        level = min(float(self._burst), level + max(0.0, now - since) / self._refill_s)
        allowed = level >= 1.0
        self._levels[key] = (level - 1.0 if allowed else level, now)
        if len(self._levels) > self._kept_max:
            self._levels.popitem(last=False)
        return allowed
