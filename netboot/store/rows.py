"""Many rows at once, for what stands between a client and its answer.

SQLAlchemy prepares each row of an INSERT for longer than SQLite takes to write it; so SQLite's driver gets the rows as
they are, and every other engine gets them by SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert

from netboot.store.database import writing
from netboot.store.sqlite import bare_transaction

_TOGETHER = 64


def insert_rows(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows whose values stand in the order of `names`; those of JSON columns as `json_for` makes them."""
    if connection.dialect.name != "sqlite":
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        return
    connection.exec_driver_sql(_insert(table.name, tuple(names)), list(rows))


def commit_rows(engine: Engine, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """The same in a transaction of its own, durable on return."""
    if engine.dialect.name != "sqlite":
        with writing(engine) as ours:
            insert_rows(ours, table, names, rows)
        return
    with bare_transaction(engine) as connection:
        for part in _parts(rows):
            values = tuple(chain.from_iterable(part))
            connection.execute(_insert(table.name, tuple(names), len(part)), values)


def _parts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """All rows, as many a statement as may be: the driver gives Python's lock up with each.

    Always a power of two, so that the driver finds all of the few statements among those that it has prepared.
    """
    at = 0
    while left := len(rows) - at:
        count = min(_TOGETHER, 1 << left.bit_length() - 1)
        yield rows[at : at + count]
        at += count


@lru_cache
def _insert(table: str, names: tuple[str, ...], count: int = 1) -> str:
    row = f"({', '.join('?' * len(names))})"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * count)}"  # noqa: S608  # names of our schema


def json_for(engine: Engine) -> Callable[[dict[str, Any]], Any]:
    """How `insert_rows` wants the value of a JSON column: SQLite's driver as text, others as it is."""
    return json.dumps if engine.dialect.name == "sqlite" else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
