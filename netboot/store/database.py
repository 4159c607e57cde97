"""Opening the database, and the two kinds of transaction.

`open_database` gives an engine whose schema is current, or an error that says what to do.  All reading goes
through `reading`, all changing through `writing`: each is one transaction, and in each an error of the
database becomes a `NetbootError`.  A violated constraint or a value that cannot be stored passes through: there
the values are at fault, and only the caller knows what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy import Engine as Engine
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError

from netboot.errors import InvalidInput, NetbootError, NotFound, Unavailable
from netboot.store import migrations
from netboot.store.sqlite import Synchronous, explain, sqlite_engine, writers_turn

DATABASE_FILE = "netboot.db"


def open_database(location: Path | str, *, create: bool = True, synchronous: Synchronous = "FULL") -> Engine:
    """The database in the data directory `location`, or at the URL `location`, brought to the current schema.

    With `create` false, `NotFound` is raised for a data directory that has no database yet, so that a mistyped
    directory does not look like an empty installation.  `synchronous` concerns SQLite alone: with NORMAL a commit
    survives the end of our process, but not that of the machine.
    """
    engine = _engine(location, create=create, synchronous=synchronous)
    try:
        with readable_errors(engine):
            migrations.migrate(engine)
    except NetbootError:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that reads: all it sees is of one moment."""
    with readable_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes; durable when the block has ended, undone when it raises."""
    with (
        readable_errors(engine),
        writers_turn(engine),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def readable_errors(engine: Engine) -> Iterator[None]:
    """Turns what the driver says into what an admin can mend."""
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except DBAPIError as error:
        place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
        raise explain(error.orig, str(place)) or _foreign(error, str(place)) from error


def _engine(location: Path | str, *, create: bool, synchronous: Synchronous) -> Engine:
    if isinstance(location, Path):
        return _file_engine(location / DATABASE_FILE, create=create, synchronous=synchronous)
    try:
        url = make_url(location)
        if url.get_backend_name() == "sqlite" and url.database:
            return _file_engine(Path(url.database), create=create, synchronous=synchronous)
        return create_engine(url, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError):
        raise InvalidInput(
            f"{location!r} is no database URL that we know", hint="write postgresql+psycopg://USER@HOST/NAME"
        ) from None
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"the database driver {error.name} is not installed", hint="install netboot[postgresql]"
        ) from None


def _file_engine(file: Path, *, create: bool, synchronous: Synchronous) -> Engine:
    if not create and not _exists(file):
        raise NotFound(
            f"there is no netboot database in {file.parent}",
            hint="name the data directory with --data-dir; netboot serve and netboot client add make a new one",
        )
    return sqlite_engine(file, synchronous=synchronous)


def _exists(file: Path) -> bool:
    """Whether it is there; one that we may not look for counts as there, so that opening it says why it fails."""
    try:
        return file.exists()
    except PermissionError:
        return True


def _foreign(error: DBAPIError, place: str) -> NetbootError:
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    return Unavailable(f"the database {place} failed: {lines[0]}", hint="check that the database server runs")
