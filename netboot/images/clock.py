"""Telling how far long work is: steps of which each took so long last time, and work whose amount is known."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from netboot.images.pace import Pace, Progress


class Clock:
    """Tells a `Progress` where the work is, and remembers how long each step took."""

    def __init__(self, progress: Progress, pace: Pace) -> None:
        self._progress = progress
        self._pace = pace
        self._started = self._step_started = time.monotonic()
        self._step = ""
        self.durations: dict[str, float] = {}

    def begin(self, step: str) -> None:
        now = time.monotonic()
        if self._step:
            self.durations[self._step] = self.durations.get(self._step, 0.0) + now - self._step_started
        self._step, self._step_started = step, now
        self.tick()

    def tick(self) -> None:
        """Something moved, who knows how much."""
        now = time.monotonic()
        elapsed = now - self._step_started
        left = self._pace.left_s(self._step, elapsed, total_elapsed_s=now - self._started)
        self._progress.step(self._step, fraction=self._pace.fraction(self._step, elapsed), left_s=left)

    def reach(self, done: int, total: int) -> None:
        """So many bytes of this step are done, of so many."""
        elapsed = time.monotonic() - self._step_started
        share = min(1.0, done / total) if total else 1.0
        self._progress.step(
            self._step,
            fraction=self._pace.fraction_at(self._step, share),
            left_s=self._pace.left_at_s(self._step, share, elapsed_s=elapsed),
            bytes_per_s=done / elapsed if elapsed > 0 else None,
        )


@contextmanager
def remembered(file: Path, progress: Progress, steps: Mapping[str, float]) -> Iterator[Clock]:
    """A clock that knows the last durations of the same work, kept in `file`; those of whole work replace them."""
    durations: Mapping[str, float] = {}
    with suppress(OSError, ValueError):
        durations = dict(json.loads(file.read_text(encoding="utf-8")))
    clock = Clock(progress, Pace.learned(durations, steps))
    yield clock
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(clock.durations), encoding="utf-8")
