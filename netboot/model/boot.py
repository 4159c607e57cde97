"""A boot of one client, as folded from its events, and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress


class Outcome(StrEnum):
    """`handed-over` is the end of what can be known of a boot from a disk that brings its own loader."""

    BOOTING = "booting"
    UP = "up"
    HANDED_OVER = "handed-over"
    STALLED = "stalled"
    FAILED = "failed"
    DENIED = "denied"

    @property
    def is_good(self) -> bool:
        """Whether the boot is over, and went as it should as far as anybody can tell."""
        return self in (Outcome.UP, Outcome.HANDED_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What we conclude from a boot's events: `reached` is the last step taken, `missing` the one awaited.

    `cause` and `hint` are sentences for people; both are empty while all is well.
    """

    outcome: Outcome
    reached: EventKind | None
    missing: EventKind | None = None
    cause: str = ""
    hint: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot: its number in the store, its client, and its events in order (never empty)."""

    id: int
    mac: MacAddress
    events: tuple[Event, ...]

    @property
    def started_at(self) -> float:
        return self.events[0].at

    @property
    def last_at(self) -> float:
        return self.events[-1].at
