"""How far a build is and how long it will still take: pure arithmetic over steps of known length.

The lengths are those of the last build on this machine, or the table's (seconds, measured on two slow cores).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

# In order.  The names are what a person sees.
STEPS: Mapping[str, float] = {
    "reading package lists": 3,
    "downloading the base": 4,
    "unpacking the base": 5,
    "setting up the base": 8,
    "installing packages": 45,
    "making the initrd": 12,
    "adjusting units": 2,
    "removing identities": 1,
    "writing the file system": 8,
    "checking the result": 4,
    "computing digests": 3,
    "publishing": 2,
}

# A step that takes longer than expected stops short of its end.
_NEARLY = 0.95
# Before this much is done, the table says more than the clock.
_ENOUGH_S = 5.0


class Progress(Protocol):
    """Who watches a build.  `fraction` is of the whole, 0 to 1; `left_s` the seconds still to go."""

    def step(self, name: str, *, fraction: float, left_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """The expected seconds of each step, in order."""

    expected: Mapping[str, float]

    @classmethod
    def learned(cls, durations: Mapping[str, float]) -> Pace:
        """The table, bettered by what an earlier build took; odd values are left out."""
        return cls({name: durations[name] if _sane(durations.get(name)) else usual for name, usual in STEPS.items()})

    def done_s(self, step: str, elapsed_s: float) -> float:
        """Seconds of expected work behind us, `elapsed_s` into `step`."""
        before = 0.0
        for name, seconds in self.expected.items():
            if name == step:
                return before + min(elapsed_s, _NEARLY * seconds)
            before += seconds
        raise KeyError(step)

    def fraction(self, step: str, elapsed_s: float) -> float:
        return self.done_s(step, elapsed_s) / sum(self.expected.values())

    def left_s(self, step: str, elapsed_s: float, *, total_elapsed_s: float) -> float:
        """Seconds to go, stretched by how much slower than expected it went so far."""
        done = self.done_s(step, elapsed_s)
        stretch = total_elapsed_s / done if done >= _ENOUGH_S else 1.0
        return (sum(self.expected.values()) - done) * stretch


def _sane(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 86400
