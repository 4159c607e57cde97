"""A plot on two logarithmic axes, as SVG: what a page of documentation needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 640, 400, 60
_FONT = 'font-family="sans-serif" font-size="12"'
_COLOURS = ("#0b6", "#c40", "#06c", "#808")

Points = Sequence[tuple[float, float]]


def log_log(lines: Mapping[str, Points], *, across: str, up: str) -> str:
    """The SVG text.  All values must be positive; both axes end at powers of ten."""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    x_axis, y_axis = _Axis(xs, MARGIN, WIDTH - MARGIN), _Axis(ys, HEIGHT - MARGIN, MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {_FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *(_line(x_axis.at(t), MARGIN, x_axis.at(t), HEIGHT - MARGIN, "#ddd") for t in x_axis.ticks),
        *(_line(MARGIN, y_axis.at(t), WIDTH - MARGIN, y_axis.at(t), "#ddd") for t in y_axis.ticks),
        *(_text(x_axis.at(t), HEIGHT - MARGIN + 18, f"{t:,g}", "middle") for t in x_axis.ticks),
        *(_text(MARGIN - 6, y_axis.at(t) + 4, f"{t:,g}", "end") for t in y_axis.ticks),
        _text(WIDTH / 2, HEIGHT - 14, across, "middle"),
        _text(MARGIN, MARGIN - 20, up, "start"),
    ]
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
        parts.append(_text(MARGIN + 12, MARGIN + 18 + 16 * number, name, "start", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Axis:
    """From `start` to `end` in pixels, over whole powers of ten."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._low, self._high = floor(log10(min(values))), ceil(log10(max(values)))
        self._high = max(self._high, self._low + 1)
        self._start, self._end = start, end
        self.ticks = [10.0**power for power in range(self._low, self._high + 1)]

    def at(self, value: float) -> float:
        return self._start + (log10(value) - self._low) / (self._high - self._low) * (self._end - self._start)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
