"""What firmware has taught, one row for each make of machines and mode of DHCP.

Failures that have not led to anything yet are not kept: after a restart a strategy is given its chances anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Engine, Row, and_, delete, insert, select

from netboot.config import DhcpMode
from netboot.model.mac import MacAddress
from netboot.model.strategy import Fingerprint, Lesson, Strategy
from netboot.store.database import reading, writing
from netboot.store.schema import strategies

Make = tuple[DhcpMode, Fingerprint]


class StrategyRepository:
    """Lessons in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self) -> dict[Make, Lesson]:
        """Every lesson, those that were learnt first first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(strategies).order_by(strategies.c.since)).all()
        return {(DhcpMode(row.mode), Fingerprint.parse(row.fingerprint)): _lesson(row) for row in rows}

    def find(self, mode: DhcpMode, fingerprint: Fingerprint) -> Lesson | None:
        """What machines of this make have taught, None while they have taught nothing."""
        with reading(self._engine) as connection:
            row = connection.execute(select(strategies).where(_is(mode, fingerprint))).one_or_none()
        return _lesson(row) if row else None

    def replace(self, learnt: Mapping[Make, Lesson], forgotten: Collection[Make] = ()) -> None:
        """Write these lessons in place of what was known of their makes, and forget others; in one transaction."""
        with writing(self._engine) as connection:
            for make in (*forgotten, *learnt):
                connection.execute(delete(strategies).where(_is(*make)))
            for make, lesson in learnt.items():
                connection.execute(insert(strategies).values(_row(*make, lesson)))


def _is(mode: DhcpMode, fingerprint: Fingerprint) -> Any:
    return and_(strategies.c.mode == mode.value, strategies.c.fingerprint == str(fingerprint))


def _row(mode: DhcpMode, fingerprint: Fingerprint, lesson: Lesson) -> dict[str, Any]:
    return {
        "mode": mode.value,
        "fingerprint": str(fingerprint),
        "strategy": lesson.strategy.value,
        "since": lesson.since,
        "reason": lesson.reason,
        "worked_at": lesson.worked_at,
        "proofs": [str(mac) for mac in lesson.proofs],
        "rounds": lesson.rounds,
    }


def _lesson(row: Row[Any]) -> Lesson:
    return Lesson(
        strategy=Strategy(row.strategy),
        since=row.since,
        reason=row.reason,
        worked_at=row.worked_at,
        proofs=tuple(MacAddress.parse(each) for each in row.proofs),
        rounds=row.rounds,
    )
