"""Every older database becomes the one that the schema describes, and nothing in it is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.schema import CreateTable

from netboot.store import LeaseRepository, schema
from netboot.store.database import open_database, reading
from netboot.store.migrations import MIGRATIONS, Migration, migrate
from netboot.store.sqlite import sqlite_engine

_A_CLIENT = (
    "INSERT INTO clients (mac, name, root, loader, kernel_args, shell, created_at)"
    " VALUES ('52:54:00:00:00:01', 'lab-01', 'nfs', 'auto', '[]', 0, 5.0)"
)
# Since migration 8 a client's root is one of its wishes.
_A_CLIENT_WITH_WISHES = _A_CLIENT.replace("root, ", "").replace("'nfs', ", "")

_A_LEASE = "INSERT INTO leases VALUES ('10.0.0.9', '52:54:00:00:00:01', 'active', 5.0, X'0152', 'lab-01')"


def shape(engine: Engine) -> dict[str, Any]:
    """What the database itself says it consists of."""
    look = inspect(engine)
    return {
        table: (
            look.get_pk_constraint(table)["constrained_columns"],
            [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(table)],
            sorted(str(i["column_names"]) for i in look.get_indexes(table)),
            sorted(str(u["column_names"]) for u in look.get_unique_constraints(table)),
            [(f["constrained_columns"], f["referred_table"]) for f in look.get_foreign_keys(table)],
        )
        for table in sorted(look.get_table_names())
    }


def test_numbers_count_from_one() -> None:
    assert [each.number for each in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("age", range(len(MIGRATIONS) + 1))
def test_every_age_becomes_the_schema(tmp_path: Path, age: int) -> None:
    old = sqlite_engine(tmp_path / "netboot.db")
    migrate(old, MIGRATIONS[:age])
    if age:
        with old.connect() as connection, connection.begin():
            connection.execute(text(_A_CLIENT if age < 8 else _A_CLIENT_WITH_WISHES))
    old.dispose()
    engine = open_database(tmp_path)
    wanted = create_engine("sqlite://")
    schema.metadata.create_all(wanted)
    assert shape(engine) == shape(wanted)
    with reading(engine) as connection:
        assert list(connection.scalars(text("SELECT number FROM migrations ORDER BY 1"))) == [
            each.number for each in MIGRATIONS
        ]
        assert connection.scalar(text("SELECT count(*) FROM clients")) == min(age, 1)


def test_leases_of_before_the_lines_are_kept(tmp_path: Path) -> None:
    old = sqlite_engine(tmp_path / "netboot.db")
    migrate(old, MIGRATIONS[:6])
    with old.connect() as connection, connection.begin():
        connection.execute(text(_A_LEASE))
    old.dispose()
    (lease,) = LeaseRepository(open_database(tmp_path)).load()
    assert (str(lease.address), lease.state.value, lease.expires_at) == ("10.0.0.9", "active", 5.0)
    assert (lease.client_id, lease.hostname) == (b"\x01\x52", "lab-01")


def test_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "netboot.db")
    migrate(engine, MIGRATIONS[:1])
    before = shape(engine)

    def break_off(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (x TEXT)"))
        connection.execute(text("DROP TABLE clients"))
        raise RuntimeError("the power failed")

    with pytest.raises(RuntimeError):
        migrate(engine, (*MIGRATIONS[:1], Migration(2, "broken", break_off)))
    assert shape(engine) == before
    migrate(engine)
    assert "lease_lines" in shape(engine)


def test_second_opening_changes_nothing(tmp_path: Path) -> None:
    open_database(tmp_path).dispose()
    engine = open_database(tmp_path)
    with reading(engine) as connection:
        applied = connection.execute(text("SELECT * FROM migrations")).all()
    open_database(tmp_path).dispose()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT * FROM migrations")).all() == applied


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=lambda table: str(table.name))
def test_every_table_has_a_form_in_postgresql(table: Any) -> None:
    assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=make_url("postgresql://").get_dialect()()))
