"""How much of a queue may be dealt with: all when it is calm, little in a rush, and never less than must be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from netboot.store import calm
from netboot.store.calm import SLICE, CalmQueue

T = TypeVar("T")


class Growing(threading.Condition):
    """A queue's condition on which, whenever somebody waits, so many are added; no time passes but what is said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, by: int) -> None:
        super().__init__()
        self.queue: list[int] = []
        self.by = by
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        self.now += timeout or 0.0
        self.queue += [0] * self.by
        return predicate()


def never() -> bool:
    return False


def test_all_of_it_when_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Growing(monkeypatch, by=0)
    changed.queue += [0] * 1234
    assert CalmQueue(changed, changed.queue, full=5000, closing=never).wait() == 1234
    assert changed.now == calm.CALM_S


def test_a_rush_is_put_off_for_a_second_and_then_told_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Growing(monkeypatch, by=30)
    queue = CalmQueue(changed, changed.queue, full=5000, closing=never)
    assert queue.wait() == SLICE
    assert changed.now == pytest.approx(calm.LONGEST_S, abs=calm.CALM_S)
    for _ in range(3):
        before = changed.now
        assert queue.wait() == SLICE
        assert changed.now - before == pytest.approx(calm.PAUSE_S)
    changed.by = 0
    assert queue.wait() == len(changed.queue)


def test_what_is_more_than_full_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Growing(monkeypatch, by=30)
    changed.queue += [0] * 1000
    queue = CalmQueue(changed, changed.queue, full=200, closing=never)
    assert (queue.wait(), changed.now) == (800, 0.0)


def test_nobody_is_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Growing(monkeypatch, by=30)
    changed.queue += [0] * 1000
    queue = CalmQueue(changed, changed.queue, full=200, closing=lambda: True)
    assert (queue.wait(), changed.now) == (1000, 0.0)
