"""What a make of firmware has taught: which strategy it is offered, and why.

Pure: findings about single machines are folded into a `Lesson` for their make.  One failure of a machine that the admin
named moves its make on to the next strategy; of one that nobody named it takes two, since whoever invents clients
seldom invents one twice.  A strategy that machines boot by is proven, and a machine that never booted by it,
or one alone of several that did, does not talk us out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netboot.boot.attempts import Finding
from netboot.model.mac import MacAddress
from netboot.model.strategy import Failure, Lesson, Strategy

# Failures count together that lie within an hour: an admin who tries again is quicker, an odd day is not a pattern.
_WINDOW_S = 3600.0
# A proof is good for half a year of holidays; a machine room that stood still longer may be another one.
_PROOF_S = 180 * 86400.0
_NEEDED_KNOWN, _NEEDED_UNKNOWN = 1, 2
# What it takes of a machine that has booted by a proven strategy, and of how many such machines.
_NEEDED_PROVEN, _WITNESSES = 3, 2
# After all were tried in vain the fault lies elsewhere: each round goes slower than the one before.
_SLOWEST = 3
FIRST = "it is the first to be tried"
_PROOFS_MAX, _FAILING_MAX = 8, 16


def blank(tried: Sequence[Strategy], now: float) -> Lesson:
    """What is thought of a make that has taught nothing yet."""
    return Lesson(strategy=tried[0], since=now, reason=FIRST)


def is_proven(lesson: Lesson, now: float) -> bool:
    """Whether a machine of the make has booted by the strategy lately."""
    return lesson.worked_at is not None and now - lesson.worked_at < _PROOF_S


def learn(lesson: Lesson, tried: Sequence[Strategy], found: Finding, *, is_named: bool, now: float) -> Lesson:
    """The lesson after one more finding; the same one when that changes nothing.

    `tried` is the order in which strategies are tried, `is_named` whether an admin knows the machine.
    """
    if found.worked:
        return _worked(lesson, found, now)
    if found.offer.strategy is not lesson.strategy:
        return lesson  # a strategy of before; that one failed is known
    failing = _count(lesson.failing, found.mac, now)
    lesson = replace(lesson, failing=failing)
    if not _is_enough(lesson, found.mac, is_named=is_named, now=now):
        return lesson
    return _moved_on(lesson, tried, found, now)


def _worked(lesson: Lesson, found: Finding, now: float) -> Lesson:
    if found.offer.strategy is not lesson.strategy:
        if is_proven(lesson, now):
            return lesson
        # It only took its time: what we went over to in the meantime has still to prove itself.
        lesson = Lesson(strategy=found.offer.strategy, since=now, reason="it worked after all, only slowly")
    proofs = (*(each for each in lesson.proofs if each != found.mac), found.mac)[-_PROOFS_MAX:]
    return replace(lesson, worked_at=now, proofs=proofs, failing=(), rounds=0)


def _count(failing: tuple[Failure, ...], mac: MacAddress, now: float) -> tuple[Failure, ...]:
    """One more failure of this machine; those of long ago, and of the most machines ago, are forgotten."""
    recent = [each for each in failing if now - each.at <= _WINDOW_S]
    times = next((each.times for each in recent if each.mac == mac), 0)
    others = [each for each in recent if each.mac != mac]
    return (*others, Failure(mac=mac, times=times + 1, at=now))[-_FAILING_MAX:]


def _is_enough(lesson: Lesson, mac: MacAddress, *, is_named: bool, now: float) -> bool:
    if not is_proven(lesson, now):
        times = next(each.times for each in lesson.failing if each.mac == mac)
        needed = _NEEDED_KNOWN if is_named else _NEEDED_UNKNOWN
        return times >= needed << min(lesson.rounds, _SLOWEST)
    witnesses = [each for each in lesson.failing if each.mac in lesson.proofs and each.times >= _NEEDED_PROVEN]
    return len(witnesses) >= min(_WITNESSES, len(lesson.proofs))


def _moved_on(lesson: Lesson, tried: Sequence[Strategy], found: Finding, now: float) -> Lesson:
    after = tried.index(lesson.strategy) + 1 if lesson.strategy in tried else 0
    is_last = after == len(tried)
    reason = f"{lesson.strategy} failed: {found.reason}" + ("; every other way had failed before" if is_last else "")
    return Lesson(
        strategy=tried[0 if is_last else after],
        since=now,
        reason=reason,
        rounds=lesson.rounds + is_last,
    )
