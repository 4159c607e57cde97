"""Numbered migrations: how a database of any age becomes one of today.

Each is one transaction together with the row that records it, so that an interrupted upgrade goes on where
it stopped.  A published migration is never edited; a change of the schema is a new number.  A database with a
number that we do not know was made by a newer program, and is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Integer, String, column, inspect, select, table
from sqlalchemy.types import Double

from netboot.errors import Unavailable
from netboot.store.migrations import (
    m0001_clients,
    m0002_leases,
    m0003_events,
    m0004_settings,
    m0005_profiles,
    m0006_strategies,
    m0007_lease_lines,
    m0008_wishes,
    m0009_san,
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    apply: Callable[[Connection], None]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "clients", m0001_clients.apply),
    Migration(2, "leases", m0002_leases.apply),
    Migration(3, "events", m0003_events.apply),
    Migration(4, "settings", m0004_settings.apply),
    Migration(5, "profiles", m0005_profiles.apply),
    Migration(6, "strategies", m0006_strategies.apply),
    Migration(7, "lease lines", m0007_lease_lines.apply),
    Migration(8, "wishes", m0008_wishes.apply),
    Migration(9, "san", m0009_san.apply),
)

_applied = table("migrations", column("number", Integer), column("name", String), column("applied_at", Double))


def migrate(engine: Engine, known: Sequence[Migration] = MIGRATIONS) -> None:
    """Apply what is missing; `Unavailable` when the database is of a newer program."""
    with engine.connect() as connection, connection.begin():
        missing = pending(_numbers(connection), known)
    for migration in missing:
        # The write lock comes first: of two programs that start at once, the second finds nothing left to do.
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if migration in pending(_numbers(connection), known):
                migration.apply(connection)
                _record(connection, migration)


def pending(applied: frozenset[int], known: Sequence[Migration]) -> tuple[Migration, ...]:
    """What is still to be done, in order."""
    newest = max((each.number for each in known), default=0)
    if applied and max(applied) > newest:
        raise Unavailable(
            f"the database was made by a newer netboot (schema {max(applied)}, this program knows {newest})",
            hint="upgrade netboot, or name another data directory with --data-dir",
        )
    return tuple(each for each in known if each.number not in applied)


def _numbers(connection: Connection) -> frozenset[int]:
    if not inspect(connection).has_table("migrations"):
        return frozenset()
    return frozenset(connection.scalars(select(_applied.c.number)))


def _record(connection: Connection, migration: Migration) -> None:
    values = {"number": migration.number, "name": migration.name, "applied_at": time.time()}
    connection.execute(_applied.insert().values(values))
