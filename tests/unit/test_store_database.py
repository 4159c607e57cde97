"""Opening a database: private, current, or an error that says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from netboot.errors import InvalidInput, NotFound, NotPermitted, Unavailable
from netboot.store.database import open_database, reading, writing
from tests.cli_kit import as_nobody, open_to_all


def test_directory_is_made_and_the_file_is_private(tmp_path: Path) -> None:
    open_database(tmp_path / "a/b").dispose()
    assert (tmp_path / "a/b/netboot.db").stat().st_mode & 0o777 == 0o600


def test_pragmas_are_in_force_on_every_connection(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with reading(engine) as one, reading(engine) as two:
        for connection in (one, two):
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_reading_does_not_make_a_database(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        open_database(tmp_path / "mistyped", create=False)
    assert "--data-dir" in str(caught.value.hint)
    assert not (tmp_path / "mistyped").exists()


def test_url_of_an_sqlite_file_is_the_same_as_its_directory(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/netboot.db").dispose()
    open_database(tmp_path, create=False).dispose()


@pytest.mark.parametrize("url", ["nonsense", "nosuchengine://host/name"])
def test_url_that_is_none(url: str) -> None:
    with pytest.raises(InvalidInput):
        open_database(url)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "netboot.db").write_bytes(b"this is a letter to my aunt" * 200)
    with pytest.raises(Unavailable) as caught:
        open_database(tmp_path)
    assert "damaged or not a netboot database" in caught.value.message
    assert "backup" in str(caught.value.hint)


def test_damage_within_the_file(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE filler (x TEXT)"))
        connection.execute(text("INSERT INTO filler VALUES (hex(randomblob(100000)))"))
    engine.dispose()
    with sqlite3.connect(tmp_path / "netboot.db") as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "netboot.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40960)
    with pytest.raises(Unavailable) as caught:
        engine = open_database(tmp_path)
        with reading(engine) as connection:
            connection.execute(text("SELECT * FROM clients")).all()
            connection.execute(text("PRAGMA integrity_check")).all()
    assert "damaged" in caught.value.message


def test_database_that_may_not_be_written(tmp_path: Path) -> None:
    open_database(tmp_path).dispose()
    open_to_all(tmp_path)
    for path in [*tmp_path.iterdir(), tmp_path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with as_nobody(), pytest.raises(NotPermitted) as caught:
        engine = open_database(tmp_path)
        with writing(engine) as connection:
            connection.execute(text("DELETE FROM clients"))
    assert "root" in str(caught.value.hint)


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotPermitted) as caught:
        open_database(tmp_path / "file/data")
    assert "--data-dir" in str(caught.value.hint)


def test_database_of_a_newer_program(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO migrations VALUES (999, 'future', 0)"))
    engine.dispose()
    with pytest.raises(Unavailable) as caught:
        open_database(tmp_path)
    assert "999" in caught.value.message
    assert "upgrade netboot" in str(caught.value.hint)


def test_lock_that_is_never_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netboot.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    engine = open_database(tmp_path)
    with sqlite3.connect(tmp_path / "netboot.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught, writing(engine) as connection:
            connection.execute(text("DELETE FROM clients"))
    assert "locked" in caught.value.message


def test_writing_that_raises_changes_nothing(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with pytest.raises(RuntimeError), writing(engine) as connection:
        connection.execute(text("UPDATE revisions SET number = 77"))
        raise RuntimeError
    with reading(engine) as connection:
        assert connection.execute(text("SELECT number FROM revisions")).scalar() == 0


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_while_it_is_used_is_missed(tmp_path: Path, replaced: bool) -> None:
    engine = open_database(tmp_path)
    for file in tmp_path.glob("netboot.db*"):
        file.unlink()
    if replaced:
        open_database(tmp_path).dispose()
    for transaction in (reading, writing):
        with pytest.raises(Unavailable, match="removed or replaced while it was in use"), transaction(engine):
            pass
    engine.dispose()
