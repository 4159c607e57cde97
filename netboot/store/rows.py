"""Many rows at once, for what stands between a client and its answer.

SQLAlchemy prepares each row of an INSERT for longer than SQLite takes to write it; so SQLite's driver gets the rows as
they are, and every other engine gets them by SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert


def insert_rows(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows whose values stand in the order of `names`; those of JSON columns as `json_for` makes them."""
    if connection.dialect.name != "sqlite":
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        return
    places = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  # names of our schema
    connection.exec_driver_sql(statement, list(rows))


def json_for(engine: Engine) -> Callable[[dict[str, Any]], Any]:
    """How `insert_rows` wants the value of a JSON column: SQLite's driver as text, others as it is."""
    return json.dumps if engine.dialect.name == "sqlite" else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
