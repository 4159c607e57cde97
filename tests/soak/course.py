"""One soak from its first point to its last."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from tests.soak.points import Course, Moment, choose_moment, order
from tests.soak.victim import Fate, Finding, Manner, footprint, run
from tests.soak.witness import Witness
from tests.soak.works import WORKS, Attempt, Work

# A command that ends before it is killed is no point; so many of them in a row, and the clock is wrong.
_MISSES = 40


class Soak:
    """Kills in one folder; `within_s`: in the first seconds alone, without knowing how long a command takes."""

    def __init__(self, folder: Path, chance: random.Random, *, within_s: float | None = None) -> None:
        self._folder = folder
        self._chance = chance
        self._within_s = within_s
        self._witness = Witness(folder / "data")
        self._works: dict[str, Work] = {name: make(folder, self._witness, chance) for name, (make, _) in WORKS.items()}
        self._courses: dict[str, Course] = {}
        self._killed: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._again: Counter[str] = Counter()
        self._at: dict[str, Counter[str]] = {name: Counter() for name in WORKS}

    def go(self, points: dict[str, int]) -> None:
        """So many kills of each work, in an order by lot; raises a `Finding`."""
        names = order(points, self._chance, late="build")  # each check reads what was built
        if "commit" in points:
            self._measure(self._works["import"], self._works["import"].begin())
        for number, name in enumerate(names, start=1):
            for _ in range(_MISSES):
                told = self._kill(name)
                if told is not None:
                    print(f"{number:4}/{len(names)} {told}", flush=True)
                    break
            else:
                raise Finding(f"{name} was never killed in time")
        if self._within_s is None:
            self._finish(points)

    def table(self) -> str:
        lines = [
            "| killed | points | published before it | again to the end | what it was at |",
            "|---|---|---|---|---|",
        ]
        for name, killed in self._killed.items():
            steps = ", ".join(f"{step} {count}" for step, count in self._at[name].most_common())
            lines.append(f"| {name} | {killed} | {self._published[name]} | {self._again[name]} | {steps} |")
        return "\n".join(lines)

    def _kill(self, name: str) -> str | None:
        """One kill, and all that must hold afterwards; what to say of it, None when the command was too quick."""
        work = self._works[name]
        attempt = work.begin()
        while attempt.kind not in self._courses and self._within_s is None:
            self._measure(work, attempt)
            attempt = work.begin()
        before = footprint(self._folder)
        manner = self._chance.choice(tuple(Manner))
        fate = run(self._witness.data_dir, *attempt.words, at=self._moment(attempt), manner=manner)
        if fate.killed_at_s is None:
            self._end(work, attempt, fate, appeared=self._look(attempt))
            return None
        if left := footprint(self._folder) - before:
            raise Finding(f"{attempt.kind} left {sorted(left)}")
        appeared, there = self._look(attempt), self._witness.labels
        step = fate.course.step_at(fate.killed_at_s) or ("starting" if attempt.tail else "at work")
        self._killed[name] += 1
        self._published[name] += appeared
        self._at[name][step] += 1
        if self._within_s is None and not appeared and self._killed[name] % work.every == 0:
            self._again[name] += 1
            self._measure(work, attempt)
        elif appeared:
            work.end(attempt)
        what = "published" if appeared else "nothing published"
        if attempt.goes:
            what = f"{len(attempt.goes - there)} of {len(attempt.goes)} gone"
        known = self._courses.get(attempt.kind)
        of = f" of {known.lasted_s:.2f} s" if known else ""
        ran = ", ".join(dict.fromkeys(fate.running))
        return f"{attempt.kind}, {manner}, at {fate.killed_at_s:.2f} s{of}, {step} ({ran}): {what}"

    def _moment(self, attempt: Attempt) -> Moment:
        if self._within_s is not None:
            return Moment(self._chance.uniform(0, self._within_s))
        return choose_moment(self._courses[attempt.kind], self._chance, tail=attempt.tail, idle_s=attempt.idle_s)

    def _measure(self, work: Work, attempt: Attempt) -> None:
        """Do it to its end, and remember how long it takes."""
        fate = run(self._witness.data_dir, *attempt.words)
        self._end(work, attempt, fate, appeared=self._look(attempt))
        self._courses[attempt.kind] = fate.course

    def _end(self, work: Work, attempt: Attempt, fate: Fate, *, appeared: bool) -> None:
        """Of a command that nobody killed."""
        if fate.code:
            raise Finding(f"{attempt.kind} ended with {fate.code}: {fate.said}")
        if attempt.appears:
            if not appeared:
                raise Finding(f"{attempt.kind} succeeded, and no version has appeared")
            if left := list((self._witness.images / ".staging" / attempt.appears).iterdir()):
                raise Finding(f"{attempt.kind} left {left}")
        work.end(attempt)

    def _look(self, attempt: Attempt) -> bool:
        label = self._witness.next_label(attempt.appears)
        appeared = self._witness.look(may_appear=attempt.appears, may_go=attempt.goes)
        if appeared:
            attempt.check(label)
        return appeared

    def _finish(self, points: dict[str, int]) -> None:
        """All that is expensive, once more to the end; then nothing may be left but what was published."""
        for name in points:
            self._measure(self._works[name], self._works[name].begin())
            self._again[name] += 1
        cleared = run(self._witness.data_dir, "image", "gc")
        if cleared.code or (faults := self._witness.faults()):
            raise Finding(f"gc left {faults if not cleared.code else cleared.said}")
        print(f"veritysetup finds {self._witness.read_all()} versions to be what was published", flush=True)
