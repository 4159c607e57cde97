"""When to kill: pure choices over what is known of how long a command takes and which steps it tells."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Moment:
    """`delay_s` after the command says that it begins `step`; after its start, where no step is named."""

    delay_s: float
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a command that came to its end: its name, when it began, and how long it took, in seconds."""

    name: str
    began_s: float
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Course:
    """How a command went that nobody killed."""

    lasted_s: float
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, lasted_s: float, told: Sequence[tuple[str, float]]) -> Self:
        """From the steps that it told, each with the second in which it began."""
        ends = [*(began for _, began in told), lasted_s][1:]
        return cls(
            lasted_s,
            tuple(Step(name, began, max(0.0, end - began)) for (name, began), end in zip(told, ends, strict=True)),
        )

    def step_at(self, at_s: float) -> str | None:
        """The last step that had begun, by the clock."""
        return next((step.name for step in reversed(self.steps) if step.began_s <= at_s), None)


def choose_moment(course: Course, chance: random.Random, *, tail: str | None = None, idle_s: float = 0.0) -> Moment:
    """Half of all moments are anywhere.

    The others are where a version appears or goes: in a step by lot, of those from `tail` on, however short it is; or,
    of a command that tells no steps, behind the first `idle_s` seconds.
    """
    if chance.random() < 0.5:
        return Moment(chance.uniform(0, course.lasted_s))
    names = [step.name for step in course.steps]
    if tail not in names:
        return Moment(chance.uniform(min(idle_s, course.lasted_s), course.lasted_s))
    step = chance.choice(course.steps[names.index(tail) :])
    return Moment(chance.uniform(0, step.lasted_s), step.name)


def divide(points: int, shares: Mapping[str, int]) -> dict[str, int]:
    """`points` by these shares, each at least one point while there are enough; the largest remainders come first."""
    total = sum(shares.values())
    exact = {name: points * share / total for name, share in shares.items()}
    counts = {name: max(1, int(each)) if points >= len(shares) else int(each) for name, each in exact.items()}
    by_need = sorted(shares, key=lambda name: counts[name] - exact[name])
    while (lacking := points - sum(counts.values())) != 0:
        for name in by_need if lacking > 0 else reversed(by_need):
            if lacking > 0 or counts[name] > 1:
                counts[name] += 1 if lacking > 0 else -1
                break
        by_need.sort(key=lambda name: counts[name] - exact[name])
    return counts


def order(points: Mapping[str, int], chance: random.Random, *, late: str) -> list[str]:
    """Each name so many times, in an order by lot, but that the `late` one comes in the second half alone."""
    names = [name for name, count in points.items() if name != late for _ in range(count)]
    chance.shuffle(names)
    half = len(names) // 2
    second = [*names[half:], *[late] * points.get(late, 0)]
    chance.shuffle(second)
    return names[:half] + second
