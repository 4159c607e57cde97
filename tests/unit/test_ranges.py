from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netboot.images.ranges import Ranges, Span, pieces

_spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def _bytes(ranges: Ranges) -> set[int]:
    return {at for start, stop in ranges for at in range(start, stop)}


def _all(spans: list[Span]) -> set[int]:
    return {at for start, stop in spans for at in range(start, stop)}


@given(_spans, _spans)
def test_ranges_are_sets_of_bytes(these: list[Span], those: list[Span]) -> None:
    one, other = Ranges.of(these), Ranges.of(those)
    assert _bytes(one) == _all(these)
    assert one.size_bytes == len(_all(these))
    assert _bytes(one | other) == _all(these) | _all(those)
    assert _bytes(one & other) == _all(these) & _all(those)
    assert _bytes(one.outside(5, 50)) == set(range(5, 50)) - _all(these)
    assert one.covers(other) is (_all(those) <= _all(these))


@given(_spans, st.integers(1, 20))
def test_aligned_holds_every_unit_that_is_touched(spans: list[Span], unit: int) -> None:
    touched = {at // unit for at in _all(spans)}
    assert _bytes(Ranges.of(spans).aligned(unit)) == {
        at for each in touched for at in range(each * unit, each * unit + unit)
    }


@given(_spans)
def test_the_same_bytes_are_the_same_value(spans: list[Span]) -> None:
    assert Ranges.of(spans) == Ranges.of((at, at + 1) for at in _all(spans))


def test_pieces_end_where_the_span_does() -> None:
    assert list(pieces(3, 10, 4)) == [(3, 7), (7, 10)]
    assert list(pieces(3, 3, 4)) == []
