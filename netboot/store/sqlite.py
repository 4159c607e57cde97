"""What only SQLite knows: its pragmas, its kinds of transaction, and what its error codes mean to a person.

WAL lets readers work while one writes; synchronous=FULL makes a commit durable before it returns, also when
the power fails (https://sqlite.org/pragma.html#pragma_synchronous).  A transaction that will write takes the
write lock when it begins (BEGIN IMMEDIATE): one that upgrades from reading later can fail at once with
SQLITE_BUSY, however long the busy timeout is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine, create_engine, event

from netboot.errors import NetbootError, NotPermitted, Unavailable

Synchronous = Literal["FULL", "NORMAL"]

# Longer than any transaction of ours takes on a slow disk, shorter than a person's patience.
BUSY_TIMEOUT_S = 10

# One writer at a time is SQLite's rule.  Its own way to wait is to sleep and look again, for up to 100 ms; our threads
# queue here first, so that a lease is written as soon as the events before it are.
_TURNS: dict[str, threading.Lock] = {}


def sqlite_engine(file: Path, *, synchronous: Synchronous = "FULL") -> Engine:
    """An engine on `file`, whose directory is made when it is missing."""
    _create_private(file)
    identity = _identity(file)
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        # None: the driver shall not open transactions of its own, which it does too late for DDL.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "do_connect")
    @event.listens_for(engine, "checkout")
    def still_there(*_: object) -> None:
        # SQLite would go on in the removed file, and what it calls durable would be gone with our last connection.
        if _identity(file) != identity:
            raise Unavailable(
                f"{file} was removed or replaced while it was in use",
                hint="stop the daemon, put the file or a backup of it back, and start the daemon again",
            )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def writers_turn(engine: Engine) -> AbstractContextManager[object]:
    """Wait for the other writers of this process; on an engine that is not SQLite's there is nothing to wait for."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return nullcontext()
    return _TURNS.setdefault(engine.url.database, threading.Lock())


@contextmanager
def bare_transaction(engine: Engine) -> Iterator[sqlite3.Connection]:
    """`database.writing` for SQLite without SQLAlchemy's part in it, which takes as long as fifty leases do."""
    place = str(engine.url.database)
    try:
        with writers_turn(engine), closing(engine.raw_connection()) as pooled:
            connection = pooled.driver_connection
            if not isinstance(connection, sqlite3.Connection):
                raise TypeError(f"{place} is not SQLite's")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise explain(error, place) or Unavailable(f"the database {place} failed: {error}") from error


def explain(error: BaseException | None, place: str) -> NetbootError | None:
    """The error in words for a person, None when it is not the database's state that is at fault."""
    code = getattr(error, "sqlite_errorname", None)
    if code is None:
        return None
    for prefix, (kind, message, hint) in _MEANINGS.items():
        if code.startswith(prefix):
            return kind(message.format(place=place), hint=hint.format(place=place))
    return None


_DAMAGED = (
    "{place} is damaged or not a netboot database",
    "stop the daemon, move the file aside, and restore your backup of it",
)
# Prefixes, since the extended codes (SQLITE_READONLY_DIRECTORY, SQLITE_BUSY_SNAPSHOT) mean the same to an admin.
_MEANINGS: Mapping[str, tuple[type[NetbootError], str, str]] = {
    "SQLITE_BUSY": (Unavailable, "{place} is locked by another program", "try again; end what holds it: fuser {place}"),
    "SQLITE_LOCKED": (Unavailable, "{place} is locked by another program", "try again; end what holds it"),
    "SQLITE_READONLY": (NotPermitted, "{place} may not be written", "run as root, or as the owner of the file"),
    "SQLITE_CANTOPEN": (NotPermitted, "{place} cannot be opened", "run as root, or as the owner of its directory"),
    "SQLITE_PERM": (NotPermitted, "{place} may not be used", "run as root, or as the owner of the file"),
    "SQLITE_CORRUPT": (Unavailable, *_DAMAGED),
    "SQLITE_NOTADB": (Unavailable, *_DAMAGED),
    "SQLITE_FULL": (Unavailable, "there is no space left for {place}", "make space on its file system"),
    "SQLITE_IOERR": (
        Unavailable,
        "{place} cannot be read or written",
        "see with df whether its file system is full, and in the kernel's log whether its disk fails",
    ),
}


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _create_private(file: Path) -> None:
    """Make the file with mode 0600 before SQLite does: it holds the installation's secret."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise NotPermitted(
            f"{file} cannot be made: {error.strerror}",
            hint="run as root, or name a directory that you may write to with --data-dir",
        ) from None
    except OSError as error:
        raise Unavailable(f"{file} cannot be made: {error.strerror}", hint="look at its file system") from None
