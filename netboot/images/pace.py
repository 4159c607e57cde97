"""How far a build or an import is and how long it will still take: pure arithmetic over steps of known length.

The lengths are those of the last time on this machine, or the table's (seconds, measured on two slow cores).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

# How every version ends.
_TAIL: Mapping[str, float] = {
    "removing identities": 5,
    "looking for secrets": 3,
    "writing the file system": 8,
    "checking the result": 4,
    "computing digests": 3,
    "publishing": 2,
}

# The steps of a build, in order.  The names are what a person sees.
STEPS: Mapping[str, float] = {
    "reading package lists": 3,
    "downloading the base": 4,
    "unpacking the base": 5,
    "setting up the base": 8,
    "installing packages": 45,
    "making the initrd": 12,
    "adjusting units": 2,
    **_TAIL,
}

# The steps of an import.
IMPORT_STEPS: Mapping[str, float] = {
    "reading the source": 20,
    "installing packages": 30,
    "making the initrd": 15,
    **_TAIL,
}

# An export is one step, of known amount.
EXPORT_STEPS: Mapping[str, float] = {"writing": 60}

# A step that takes longer than expected stops short of its end.
_NEARLY = 0.95
# Before this much is done, the table says more than the clock.
_ENOUGH_S = 5.0


class Progress(Protocol):
    """Who watches.  `fraction` is of the whole, 0 to 1; `left_s` the seconds still to go; the rate if it is known."""

    def step(self, name: str, *, fraction: float, left_s: float, bytes_per_s: float | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """The expected seconds of each step, in order."""

    expected: Mapping[str, float]

    @classmethod
    def learned(cls, durations: Mapping[str, float], steps: Mapping[str, float] = STEPS) -> Pace:
        """The table, bettered by what it took earlier; odd values are left out."""
        return cls({name: durations[name] if _sane(durations.get(name)) else usual for name, usual in steps.items()})

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

    def fraction_at(self, step: str, share: float) -> float:
        """As `fraction`, when it is known that `share` of this step is done, 0 to 1."""
        return (self.done_s(step, 0.0) + share * self.expected[step]) / sum(self.expected.values())

    def left_at_s(self, step: str, share: float, *, elapsed_s: float) -> float:
        """Seconds to go: this step at the rate that it had so far, the later ones as expected."""
        here = elapsed_s * (1 - share) / share if share > 0 else self.expected[step]
        return here + sum(self.expected.values()) - self.done_s(step, 0.0) - self.expected[step]


def _sane(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 86400
