"""Where in an image something is, or may have changed: sorted spans of bytes that do not touch, as one value.

Whoever knows of changes (a draft's map, a delta, holes of a sparse file) says so in these; a superset of the truth is
always allowed, since what is looked at is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

# First byte, and the byte after the last.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Spans of bytes: none is empty, each ends before the next begins.  Made by `of`, which takes any."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Self:
        """Spans in any order, overlapping or empty."""
        return cls(tuple(_joined(sorted(span for span in spans if span[0] < span[1]))))

    @property
    def size_bytes(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __or__(self, other: Self) -> Self:
        return type(self).of((*self.spans, *other.spans))

    def __and__(self, other: Self) -> Self:
        return type(self)(tuple(_common(self.spans, other.spans)))

    def aligned(self, unit_bytes: int) -> Self:
        """The smallest ranges of whole units that hold these."""
        return type(self).of(
            (start // unit_bytes * unit_bytes, -(-stop // unit_bytes) * unit_bytes) for start, stop in self.spans
        )

    def outside(self, start: int, stop: int) -> Self:
        """What of the span from `start` to `stop` is not in these ranges."""
        edges = [start, *(edge for span in self & type(self).of([(start, stop)]) for edge in span), stop]
        return type(self).of(zip(edges[::2], edges[1::2], strict=True))

    def covers(self, other: Self) -> bool:
        return (self & other) == other


def pieces(start: int, stop: int, most_bytes: int) -> Iterator[Span]:
    """A span in steps of `most_bytes`, the last one shorter."""
    for at in range(start, stop, most_bytes):
        yield at, min(at + most_bytes, stop)


def _joined(ordered: Iterable[Span]) -> Iterator[Span]:
    held: Span | None = None
    for span in ordered:
        if held is None:
            held = span
        elif span[0] <= held[1]:
            held = held[0], max(held[1], span[1])
        else:
            yield held
            held = span
    if held is not None:
        yield held


def _common(these: tuple[Span, ...], those: tuple[Span, ...]) -> Iterator[Span]:
    at = by = 0
    while at < len(these) and by < len(those):
        start, stop = max(these[at][0], those[by][0]), min(these[at][1], those[by][1])
        if start < stop:
            yield start, stop
        if these[at][1] < those[by][1]:
            at += 1
        else:
            by += 1
