"""Events on disk, and the boots they belong to.

Events are only ever added, in the order of their ids; the newest id is all that a follower needs to
remember.  One process writes them, the daemon; anybody may read.  A boot is pruned as a whole or not at all,
since half of its story would get a wrong verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, and_, delete, func, insert, or_, select, text

from netboot.errors import NotFound
from netboot.model.boot import Boot
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.store.database import reading, writing
from netboot.store.rows import insert_rows, json_for
from netboot.store.schema import boots, events


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are asked for; what is None does not narrow."""

    mac: MacAddress | None = None
    boot: int | None = None
    since: float | None = None
    kinds: frozenset[EventKind] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = (
            (self.mac, events.c.mac == str(self.mac)),
            (self.boot, events.c.boot == self.boot),
            (self.since, events.c.at >= (self.since or 0.0)),
            (self.kinds, events.c.kind.in_(sorted(self.kinds or ()))),
        )
        return [condition for value, condition in wanted if value is not None]


EVERYTHING = EventFilter()

_MAX_ID = 2**31 - 1  # of PostgreSQL's integer


class EventRepository:
    """Events in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, batch: Sequence[Event]) -> tuple[Event, ...]:
        """Add events in one transaction, and return them with their ids.

        A negative `boot` stands for a boot that this batch begins: all events of the batch that carry it get
        the number of one new boot.  `IntegrityError` when an event's boot has been pruned.
        """
        if not batch:
            return ()
        # Before the transaction, which keeps others from writing.
        to_json = json_for(self._engine)
        stories = [(_row_of(event), to_json(dict(event.details))) for event in batch]
        with writing(self._engine) as connection:
            numbers = _open_boots(connection, batch)
            rows = [(*story, boot, told) for (story, told), boot in zip(stories, numbers, strict=True)]
            ids = _add(connection, events, rows)
        written = zip(batch, numbers, ids, strict=True)
        return tuple(event.placed(boot, id) for event, boot, id in written)

    def after(self, id: int, *, limit: int = 1000, only: EventFilter = EVERYTHING) -> tuple[Event, ...]:
        """The first `limit` events with a greater id, oldest first."""
        query = select(events).where(events.c.id > id, *only.conditions()).order_by(events.c.id).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_event(row) for row in connection.execute(query))

    def newest(self, limit: int, *, only: EventFilter = EVERYTHING) -> tuple[Event, ...]:
        """The last `limit` events, oldest first."""
        query = select(events).where(*only.conditions()).order_by(events.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_event(row) for row in connection.execute(query))[::-1]

    def boots(self, mac: MacAddress | None = None, *, limit: int = 50) -> tuple[Boot, ...]:
        """The last `limit` boots, of one client or of all, newest first."""
        started = select(boots.c.id).where(select(events.c.id).where(events.c.boot == boots.c.id).exists())
        if mac is not None:
            started = started.where(boots.c.mac == str(mac))
        with reading(self._engine) as connection:
            numbers = list(connection.scalars(started.order_by(boots.c.id.desc()).limit(limit)))
            return _load(connection, numbers)

    def boot(self, id: int) -> Boot:
        """The boot with this number."""
        with reading(self._engine) as connection:
            found = _load(connection, [id] if id <= _MAX_ID else [])
        if not found:
            raise NotFound(f"there is no boot {id}", hint="netboot boot list shows the boots that are remembered")
        return found[0]

    def latest_boot(self, mac: MacAddress) -> Boot | None:
        """The client's last boot, None when it never booted."""
        return self.latest_boots([mac]).get(mac)

    def latest_boots(self, macs: Collection[MacAddress]) -> dict[MacAddress, Boot]:
        """The last boot of each of these clients, without those that never booted."""
        started = select(events.c.id).where(events.c.boot == boots.c.id).exists()
        wanted = boots.c.mac.in_([str(mac) for mac in macs])
        last = select(func.max(boots.c.id)).where(wanted, started).group_by(boots.c.mac)
        with reading(self._engine) as connection:
            return {boot.mac: boot for boot in _load(connection, list(connection.scalars(last)))}

    def prune(self, older_than: float) -> int:
        """Forget what happened before `older_than`, boots as a whole; the number of events that went."""
        going_on = select(events.c.boot).where(events.c.at >= older_than, events.c.boot.is_not(None))
        over = or_(events.c.boot.is_(None), events.c.boot.not_in(going_on))
        with writing(self._engine) as connection:
            went = connection.execute(delete(events).where(and_(events.c.at < older_than, over)))
            kept = select(events.c.boot).where(events.c.boot.is_not(None))
            connection.execute(delete(boots).where(boots.c.id.not_in(kept)))
        return went.rowcount

    def last_id(self) -> int:
        """The newest event's id, 0 when nothing has happened yet."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(events.c.id))) or 0


def _add(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> Sequence[int]:
    """Insert rows, which hold all columns but the number, and return their numbers, in the rows' order."""
    names = table.columns.keys()
    if connection.dialect.name != "sqlite":
        numbered = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return connection.scalars(numbered, [dict(zip(names[1:], row, strict=True)) for row in rows]).all()
    # Nobody else writes while we do, so the numbers can be told beforehand: with RETURNING each row is a statement.
    last = connection.scalar(_LAST_NUMBER, {"name": table.name}) or 0
    numbers = range(last + 1, last + 1 + len(rows))
    insert_rows(connection, table, names, [(number, *row) for number, row in zip(numbers, rows, strict=True)])
    return numbers


# Where SQLite keeps the last number of each AUTOINCREMENT (https://sqlite.org/autoinc.html).
_LAST_NUMBER = text("SELECT seq FROM sqlite_sequence WHERE name = :name")


def _open_boots(connection: Connection, batch: Sequence[Event]) -> list[int | None]:
    """The number of each event's boot, after opening those that begin with this batch."""
    begun = {event.boot: str(event.mac) for event in batch if event.boot is not None and event.boot < 0}
    if not begun:
        return [event.boot for event in batch]
    opened = dict(zip(begun, _add(connection, boots, [(mac,) for mac in begun.values()]), strict=True))
    return [event.boot if event.boot is None else opened.get(event.boot, event.boot) for event in batch]


def _row_of(event: Event) -> tuple[float, str, str | None]:
    """As much of it as is known before its boot."""
    return event.at, event.kind.value, None if event.mac is None else str(event.mac)


def _load(connection: Connection, numbers: Sequence[int]) -> tuple[Boot, ...]:
    if not numbers:
        return ()
    query = select(events).where(events.c.boot.in_(numbers)).order_by(events.c.id)
    told: dict[int, list[Event]] = {number: [] for number in numbers}
    for row in connection.execute(query):
        told[row.boot].append(_event(row))
    return tuple(_boot(number, story) for number, story in told.items() if story)


def _boot(number: int, story: list[Event]) -> Boot:
    mac = story[0].mac
    if mac is None:
        raise ValueError(f"boot {number} is nobody's")
    return Boot(id=number, mac=mac, events=tuple(story))


def _event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        at=row.at,
        kind=EventKind(row.kind),
        mac=MacAddress.parse(row.mac) if row.mac else None,
        boot=row.boot,
        details=row.details,
    )
