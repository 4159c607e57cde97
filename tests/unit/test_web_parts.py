"""The boot listener's decisions: ranges, rates, reports."""

from __future__ import annotations

import pytest

from netboot.errors import InvalidInput
from netboot.model.event import EventKind
from netboot.web.fresh import FRESH_S, Fresh
from netboot.web.ranges import Span, Unsatisfiable, requested
from netboot.web.rate import Buckets
from netboot.web.report import parse


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("", None),
        ("bytes=0-9", Span(0, 10, 100)),
        ("bytes=90-", Span(90, 10, 100)),
        ("bytes=90-400", Span(90, 10, 100)),
        ("bytes=-10", Span(90, 10, 100)),
        ("bytes=-400", Span(0, 100, 100)),
        ("Bytes = 5 - 5", Span(5, 1, 100)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=\u0660-\u0661", None),
        ("bytes=0-" + "9" * 40, None),
    ],
)
def test_ranges(header: str | None, span: Span | None) -> None:
    assert requested(header, 100) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_ranges_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        requested(header, size)


def test_a_bucket_empties_and_fills() -> None:
    buckets = Buckets(burst=3, refill_s=2.0)
    assert [buckets.take("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert buckets.take("b", 0.0)
    assert not buckets.take("a", 1.9)
    assert buckets.take("a", 2.0)
    assert [buckets.take("a", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_buckets_do_not_grow_without_end() -> None:
    buckets = Buckets(burst=1, refill_s=1.0, kept_max=10)
    for number in range(1000):
        assert buckets.take(number, 0.0)
    assert not buckets.take(999, 0.0)
    assert buckets.take(0, 0.0)  # forgotten


def test_what_was_found_holds_for_a_moment() -> None:
    now = [1000.0]
    found: Fresh[str, int] = Fresh(lambda: now[0])
    assert found.get("a") is None
    found.put("a", 1)
    now[0] += FRESH_S / 2
    assert found.get("a") == 1
    found.put("b", 2)
    now[0] += FRESH_S / 2 + 0.001
    assert (found.get("a"), found.get("b")) == (None, None)
    found.put("a", 1)
    now[0] -= 3600  # the clock is put back
    assert found.get("a") is None


def test_what_was_found_does_not_grow_without_end() -> None:
    found: Fresh[int, int] = Fresh(lambda: 0.0)
    found.get(0)
    for number in range(10_000):
        found.put(number, number)
    assert sum(found.get(number) is not None for number in range(10_000)) == 4096


def test_a_report() -> None:
    kind, details = parse([("kind", "root-retried"), ("message", "  a\tb\nc  "), ("attempt", "2"), ("log", "x\ny")])
    assert kind is EventKind.ROOT_RETRIED
    assert details == {"message": "a b c", "attempt": 2, "log": "x\ny"}


def test_what_could_deceive_the_eye_is_taken_out() -> None:
    _, details = parse([("kind", "up"), ("message", "a\x1b]0;t\x07\u202eb\u2028c\x85d\udcff"), ("log", "é\r\nü\x00")])
    assert details == {"message": "a]0;tbcd", "log": "é\nü"}


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("kind", "discovered")],
        [("kind", "up"), ("kind", "up")],
        [("kind", "up"), ("", "x")],
        [("kind", "up"), ("A", "x")],
        [("kind", "up"), ("x" * 40, "x")],
        [("kind", "up"), ("attempt", "-1")],
        [("kind", "up"), ("attempt", "1e3")],
        [("kind", "up"), *[(f"f{n}", "") for n in range(16)]],
    ],
)
def test_reports_that_make_no_sense(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidInput):
        parse(fields)
