"""The edge of learning: sightings in, what firmware has taught out, and on disk.

Whoever sees something tells it and goes on; a thread of the learner's own folds it (`netboot.boot.attempts`,
`netboot.boot.learning`), writes what is new, and keeps the table that answers are made by.  The answer's path pays
for a look into that table.  Whatever clients invent, attempts and lessons stay within their bounds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

from netboot.boot.attempts import SHOWN_BY, Attempt, Finding, Sight, Sighting, follow, overdue, sighting_of
from netboot.boot.learning import FIRST, blank, is_proven, learn
from netboot.boot.strategies import order
from netboot.errors import NetbootError
from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.strategy import Lesson, Strategy
from netboot.store import StrategyRepository
from netboot.store.calm import CalmQueue
from netboot.store.strategies import Make

log = logging.getLogger(__name__)

# Machines that are on their way at once, sightings that wait, makes that are remembered.
ATTEMPTS_MAX, WAITING_MAX, LESSONS_MAX = 4096, 32_768, 1024
# How often time alone is looked at, while machines are on their way.
_LOOK_S = 1.0
_MANY = WAITING_MAX // 2
# That a strategy goes on to work is written so seldom; it is news once.
_REFRESH_S = 86400.0


class Learner:
    """Learns from sightings.  Ends with `close`; `record` must not block."""

    def __init__(
        self,
        repository: StrategyRepository,
        *,
        is_named: Callable[[MacAddress], bool],
        record: Callable[[Event], None],
        sees_fetches: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Reads what was learnt before.

        Without `sees_fetches`, when another program serves TFTP, nothing is learnt: success could not be told.
        """
        self._sees_fetches = sees_fetches
        self._repository = repository
        self._is_named = is_named
        self._record = record
        self._clock = clock
        self._saved: dict[Make, Lesson] = repository.load()
        self._lessons = dict(self._saved)
        self._attempts: OrderedDict[MacAddress, Attempt] = OrderedDict()
        self._waiting: deque[Event | Sighting] = deque(maxlen=WAITING_MAX)
        self._looked_at = 0.0
        self._unsaved = False
        self._changed = threading.Condition()
        self._closing = False
        self._strategies: dict[Make, Strategy] = {}
        self._publish()
        self.patience = 1.0
        self._calm = CalmQueue(self._changed, self._waiting, full=_MANY, closing=lambda: self._closing)
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
        self._thread.start()

    @property
    def strategies(self) -> Mapping[Make, Strategy]:
        """What each make is told by at the moment that it is looked up."""
        return self._strategies

    def awaits(self) -> bool:
        """Whether any machine is on its way, so that it matters whose file is fetched."""
        return bool(self._attempts)

    def tell(self, event: Event) -> None:
        """Take what an event shows; from any thread, without waiting."""
        if event.kind in SHOWN_BY and event.mac is not None and self._sees_fetches:
            self.see(event)

    def see(self, seen: Event | Sighting) -> None:
        with self._changed:
            self._waiting.append(seen)
            if len(self._waiting) == 1:  # else the learner knows already
                self._changed.notify_all()

    def fetched(self, mac: MacAddress) -> None:
        """A machine asked for a file by TFTP, whether it got it or not."""
        self.see(Sighting(sight=Sight.FETCHED, mac=mac, at=self._clock()))

    def close(self, timeout_s: float = 10.0) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing, _LOOK_S if self._attempts else None)
                count = min(self._calm.wait(), len(self._waiting))
                seen, closing = [self._waiting.popleft() for _ in range(count)], self._closing
            try:
                self._learn([*self._findings(seen), *self._overdue()])
                self._save()
            except NetbootError as error:
                log.error("what firmware has taught cannot be written: %s", error)
            except Exception:
                log.exception("learning from firmware failed")
            if closing:
                return

    def _findings(self, seen: list[Event | Sighting]) -> list[Finding]:
        findings = []
        for each in filter(None, (sighting_of(one) if isinstance(one, Event) else one for one in seen)):
            attempt, finding = follow(self._attempts.get(each.mac), each)
            self._keep(each.mac, attempt)
            findings += [finding] if finding else []
        return findings

    def _overdue(self) -> list[Finding]:
        findings, now = [], self._clock()
        if now - self._looked_at < _LOOK_S:
            return []
        self._looked_at = now
        for mac, attempt in list(self._attempts.items()):
            kept, finding = overdue(attempt, now, patience=self.patience)
            if kept is not attempt:
                self._keep(mac, kept)
            findings += [finding] if finding else []
        return findings

    def _keep(self, mac: MacAddress, attempt: Attempt | None) -> None:
        self._attempts.pop(mac, None)
        if attempt is None:
            return
        self._attempts[mac] = attempt
        if len(self._attempts) > ATTEMPTS_MAX:
            self._attempts.popitem(last=False)

    def _learn(self, findings: list[Finding]) -> None:
        """Fold findings into lessons, and publish and tell what changed."""
        for found in findings:
            make = (found.offer.mode, found.offer.fingerprint)
            tried, now = order(*make), self._clock()
            before = self._lessons.get(make) or blank(tried, now)
            after = learn(before, tried, found, is_named=self._is_named(found.mac), now=now)
            self._lessons[make] = after
            for event in news_of(before, after, found, now):
                self._record(event)
        if findings:
            self._unsaved = True
            self._publish()

    def _save(self) -> None:
        """Write what is worth it, and keep within the bound; what cannot be written now is tried again."""
        if not self._unsaved:
            return
        excess = max(0, len(self._lessons) - LESSONS_MAX)
        for make in sorted(self._lessons, key=self._worth)[:excess]:
            del self._lessons[make]
        news = {make: each for make, each in self._lessons.items() if is_worth_writing(self._saved.get(make), each)}
        gone = self._saved.keys() - self._lessons.keys()
        if news or gone:
            self._repository.replace(news, gone)
            self._saved = {make: each for make, each in self._saved.items() if make not in gone} | news
        self._unsaved = False

    def _worth(self, make: Make) -> tuple[float, float]:
        """What never worked is forgotten first, then what has not worked for longest."""
        lesson = self._lessons[make]
        return lesson.worked_at or 0.0, lesson.since

    def _publish(self) -> None:
        """Bring the table to what is known; readers on other threads meet each entry as it was or as it is."""
        for make, lesson in self._lessons.items():
            self._strategies[make] = lesson.strategy
        for make in self._strategies.keys() - self._lessons.keys():
            del self._strategies[make]


def news_of(before: Lesson, after: Lesson, found: Finding, now: float) -> list[Event]:
    """What is worth telling of a lesson that changed: another strategy, or the first machine that booted by it."""
    said: dict[str, Detail] = {
        "strategy": after.strategy.value,
        "mode": found.offer.mode.value,
        "fingerprint": str(found.offer.fingerprint),
        "reason": after.reason,
    }
    events = []
    if after.strategy is not before.strategy:
        details = {"before": before.strategy.value, **said}
        events.append(Event(at=now, kind=EventKind.STRATEGY_CHANGED, mac=found.mac, details=details))
    if found.worked and not (is_proven(before, now) and after.strategy is before.strategy):
        events.append(Event(at=now, kind=EventKind.STRATEGY_PROVEN, mac=found.mac, details=said))
    return events


def is_worth_writing(saved: Lesson | None, lesson: Lesson) -> bool:
    """A change of strategy, a first proof and a new witness are; one boot more of a proven make is not."""
    if saved is None:
        return lesson.worked_at is not None or lesson.reason != FIRST
    if (saved.strategy, saved.rounds) != (lesson.strategy, lesson.rounds) or len(saved.proofs) < len(lesson.proofs):
        return True
    return lesson.worked_at is not None and lesson.worked_at - (saved.worked_at or 0.0) > _REFRESH_S
