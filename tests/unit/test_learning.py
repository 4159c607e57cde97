"""What findings about single machines teach of their make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netboot.boot.attempts import Finding, Offer
from netboot.boot.learning import blank, is_proven, learn
from netboot.boot.strategies import order
from netboot.config import DhcpMode
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Lesson, Strategy
from tests.dhcp_kit import macs

MODE, MAKE = DhcpMode.OWN, Fingerprint(Firmware.BIOS, 0, "00:1b:21", "PXEClient")
TRIED = order(MODE, MAKE)
ONE, TWO, THREE, ODD = macs(4)
DAY = 86400.0


def found(mac: MacAddress, strategy: Strategy, *, worked: bool) -> Finding:
    reason = "it fetched its loader" if worked else "it took its address but fetched no loader"
    return Finding(mac=mac, offer=Offer(mode=MODE, fingerprint=MAKE, strategy=strategy), worked=worked, reason=reason)


def after(lesson: Lesson, *seen: tuple[float, MacAddress, bool], is_named: bool = True) -> Lesson:
    """Machines that try, each by the strategy of the moment."""
    for at, mac, worked in seen:
        finding = found(mac, lesson.strategy, worked=worked)
        lesson = learn(lesson, TRIED, finding, is_named=is_named, now=at)
    return lesson


def proven(*by: MacAddress, at: float = 0.0) -> Lesson:
    return after(blank(TRIED, at), *((at, mac, True) for mac in by))


def test_a_client_that_an_admin_added_needs_to_fail_once() -> None:
    lesson = after(blank(TRIED, 0), (10, ONE, False))
    assert lesson.strategy is TRIED[1]
    assert lesson.reason == "direct failed: it took its address but fetched no loader"
    assert lesson.since == 10


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        ([(0, ONE, False), (600, ONE, False)], True),
        ([(0, ONE, False), (600, TWO, False)], False),
        ([(0, ONE, False), (4000, ONE, False)], False),  # not within an hour
        ([(0, ONE, False), (10, ONE, True), (20, ONE, False)], False),
    ],
)
def test_a_machine_that_nobody_added_needs_to_fail_twice(
    seen: list[tuple[float, MacAddress, bool]], changes: bool
) -> None:
    assert (after(blank(TRIED, 0), *seen, is_named=False).strategy is TRIED[1]) is changes


def test_each_failure_leads_on_and_the_end_leads_back_more_slowly() -> None:
    lesson = blank(TRIED, 0)
    for at, strategy in enumerate([*TRIED[1:], TRIED[0]]):
        lesson = after(lesson, (at, ONE, False))
        assert lesson.strategy is strategy
    assert lesson.rounds == 1
    assert "every other way had failed before" in lesson.reason
    assert after(lesson, (50, ONE, False)).strategy is TRIED[0]
    assert after(lesson, (50, ONE, False), (60, ONE, False)).strategy is TRIED[1]
    weary = replace(lesson, rounds=1000)
    assert after(weary, *((100 + at, ONE, False) for at in range(7))).strategy is TRIED[0]
    assert after(weary, *((100 + at, ONE, False) for at in range(8))).strategy is TRIED[1]


@pytest.mark.parametrize(
    ("lesson", "seen", "changes"),
    [
        # One odd machine never booted by it: it is its own trouble, as often as it tries.
        (proven(ONE), [(100 + at, ODD, False) for at in range(50)], False),
        # The one machine that did fails three times in a row.
        (proven(ONE), [(100, ONE, False), (200, ONE, False)], False),
        (proven(ONE), [(100, ONE, False), (200, ONE, False), (300, ONE, False)], True),
        # Of several, one alone is odd; two are a pattern.
        (proven(ONE, TWO), [(100 + at, ONE, False) for at in range(50)], False),
        (proven(ONE, TWO), [(100 + at, mac, False) for mac in (ONE, TWO) for at in range(3)], True),
        # A success of anybody shows that it works.
        (proven(ONE), [(100, ONE, False), (200, ONE, False), (250, TWO, True), (300, ONE, False)], False),
        # What was proven long ago is as good as unknown.
        (proven(ONE), [(200 * DAY, ODD, False)], True),
    ],
)
def test_a_proven_strategy_is_given_up_by_those_who_proved_it(
    lesson: Lesson, seen: list[tuple[float, MacAddress, bool]], changes: bool
) -> None:
    assert is_proven(lesson, 0)
    assert (after(lesson, *seen).strategy is not lesson.strategy) is changes


def test_a_failure_of_a_strategy_of_before_says_nothing_new() -> None:
    lesson = after(blank(TRIED, 0), (10, ONE, False))
    assert learn(lesson, TRIED, found(TWO, TRIED[0], worked=False), is_named=True, now=20) is lesson


def test_what_worked_only_slowly_comes_back_unless_the_next_is_proven() -> None:
    lesson = after(blank(TRIED, 0), (10, ONE, False))
    late = found(ONE, TRIED[0], worked=True)
    back = learn(lesson, TRIED, late, is_named=True, now=20)
    assert (back.strategy, back.worked_at, back.proofs) == (TRIED[0], 20, (ONE,))
    settled = after(lesson, (15, TWO, True))
    assert learn(settled, TRIED, late, is_named=True, now=20) is settled


def test_what_is_remembered_is_bounded() -> None:
    lesson = after(blank(TRIED, 0), *((1.0, mac, True) for mac in macs(100)))
    assert len(lesson.proofs) == 8
    lesson = after(lesson, *((2.0, mac, False) for mac in macs(200)[100:]))
    assert len(lesson.failing) == 16
