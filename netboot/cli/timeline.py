"""A boot as a timeline: pure, from events to rows and from a verdict to sentences.

`netboot boot show` prints it once or again with every event; `netboot demo` and `netboot lab boot` show the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from netboot.boot.progress import STEPS, is_step
from netboot.cli.output import columns, printable, size, span
from netboot.model.boot import Boot, Outcome, Verdict
from netboot.model.event import Detail, Event, EventKind

HEADS = ("STEP", "TIME", "AFTER", "DETAILS")

# Said elsewhere, or for programs: the verdict tells hint and log, the heading the client.
_LEFT_OUT = frozenset({"log", "hint", "uuid"})
_FORMATS: dict[str, Callable[[Detail], str]] = {
    "bytes": lambda value: size(float(value)),
    "seconds": lambda value: f"in {span(float(value))}",
}
_STYLES = {
    Outcome.BOOTING: "cyan",
    Outcome.UP: "bold green",
    Outcome.HANDED_OVER: "bold green",
    Outcome.STALLED: "bold yellow",
    Outcome.FAILED: "bold red",
    Outcome.DENIED: "bold red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One step: its name, the clock when it happened, the time since the step before, and what else is known."""

    step: str
    clock: str
    since: str
    details: str
    trouble: bool

    @property
    def cells(self) -> tuple[str, str, str, str]:
        return self.step, self.clock, self.since, self.details


def rows(events: Sequence[Event], *, localtime: Callable[[float], time.struct_time] = time.localtime) -> list[Row]:
    """The rows of a boot's events, in order."""
    before = [None, *events]
    return [_row(event, earlier, localtime) for event, earlier in zip(events, before, strict=False)]


def details(event: Event) -> str:
    """What is known of an event, on one line."""
    told = [(key, value) for key, value in event.details.items() if key not in _LEFT_OUT and value != ""]
    return "  ".join(
        _FORMATS[key](value) if _is_formatted(key, value) else f"{key}={printable(value)}" for key, value in told
    )


def heading(boot: Boot, client: str | None) -> str:
    """Whose boot it is."""
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(boot.started_at))
    whose = f"{client} ({boot.mac})" if client else str(boot.mac)
    return f"boot {boot.id} of {whose}, {started}"


def sentences(boot: Boot, verdict: Verdict, *, now: float) -> list[str]:
    """The verdict in plain words."""
    took = span(boot.last_at - boot.started_at)
    match verdict.outcome:
        case Outcome.UP:
            return [f"up, {span(_up_at(boot) - boot.started_at)} after its first packet", *_why(verdict)]
        case Outcome.HANDED_OVER:
            after = span(_attached_at(boot) - boot.started_at)
            return [f"handed over to its disk, {after} after its first packet; what that starts does not report here"]
        case Outcome.BOOTING:
            waiting = span(max(0.0, now - boot.last_at))
            return [f"booting: {_reached(verdict)}, waiting for {verdict.missing} since {waiting}"]
        case _:
            return [f"{verdict.outcome} after {took}: {_reached(verdict)}{_missed(verdict)}", *_why(verdict)]


def lines(boot: Boot, verdict: Verdict, client: str | None, *, now: float) -> list[str]:
    """The whole story as plain text."""
    table = columns(HEADS, [row.cells for row in rows(boot.events)])
    return [heading(boot, client), "", *table, "", *sentences(boot, verdict, now=now)]


def picture(boot: Boot, verdict: Verdict, client: str | None, *, now: float) -> Group:
    """The whole story for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in HEADS:
        table.add_column(head, overflow="fold")
    for row in rows(boot.events):
        table.add_row(*row.cells, style="red" if row.trouble else None)
    said = [Text(sentence) for sentence in sentences(boot, verdict, now=now)]
    said[0].stylize(_STYLES[verdict.outcome])
    return Group(Text(heading(boot, client), style="bold"), Text(""), table, Text(""), *said)


def _row(event: Event, earlier: Event | None, localtime: Callable[[float], time.struct_time]) -> Row:
    clock = time.strftime("%H:%M:%S", localtime(event.at)) + f".{int(event.at % 1 * 1000):03}"
    since = f"+{span(max(0.0, event.at - earlier.at))}" if earlier else ""
    return Row(event.kind.value, clock, since, details(event), trouble=not is_step(event.kind))


def _is_formatted(key: str, value: Detail) -> bool:
    return key in _FORMATS and isinstance(value, int | float)


def _up_at(boot: Boot) -> float:
    """When the client was up; a system that runs may still tell of other things."""
    return next(event.at for event in boot.events if event.kind is STEPS[-1])


def _attached_at(boot: Boot) -> float:
    """When iPXE last had the disk that the client boots from."""
    return next(event.at for event in reversed(boot.events) if event.kind is EventKind.DISK_ATTACHED)


def _reached(verdict: Verdict) -> str:
    return f"it reached {verdict.reached}" if verdict.reached else "it reached no step of a boot"


def _missed(verdict: Verdict) -> str:
    return f", but not {verdict.missing}" if verdict.missing else ""


def _why(verdict: Verdict) -> list[str]:
    """Cause, remedy and the end of the client's own log, each where known."""
    said = [f"  why: {printable(verdict.cause)}"] if verdict.cause else []
    said += [f"  try: {printable(verdict.hint)}"] if verdict.hint else []
    if verdict.log:
        said += ["  the end of its log:", *(f"    {printable(line)}" for line in verdict.log.splitlines()[-12:])]
    return said
