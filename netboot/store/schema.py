"""The tables as the program reads and writes them today.

How a database gets here is in `netboot.store.migrations`, which never imports this module: a migration says
what it once did, this says what now is, and a test compares the two.  Addresses and MAC addresses are text
in their usual spelling, so that a person with an SQL prompt can read them; times are Unix seconds.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
    Column("applied_at", Double, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("mac", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("image", String),
    Column("loader", String, nullable=False),
    Column("address", String, unique=True),
    Column("kernel_args", JSON, nullable=False),
    Column("shell", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("profiles", JSON, nullable=False, server_default="[]"),
    Column("strategy", String),
    Column("wishes", JSON, nullable=False, server_default="{}"),
    Column("san", String),
)

# One counter a table that others cache; every change to the table adds one to it in the same transaction.
revisions = Table(
    "revisions",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, nullable=False),
)

# One line a change, in the order in which they were written; the last line of an address counts.  An index would undo
# what that order is for: that a batch of leases changes one page.
lease_lines = Table(
    "lease_lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("address", String, nullable=False),
    Column("mac", String, nullable=False),
    Column("state", String, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("client_id", LargeBinary),
    Column("hostname", String),
)

# AUTOINCREMENT, since whoever follows the events remembers the last number: it must never be given twice,
# not even after the newest event was pruned.
boots = Table(
    "boots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mac", String, nullable=False),
    Index("boots_of_client", "mac", "id"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("kind", String, nullable=False),
    Column("mac", String),
    Column("boot", Integer, ForeignKey("boots.id")),
    Column("details", JSON, nullable=False),
    Index("events_of_boot", "boot", "id"),
    Index("events_of_client", "mac", "id"),
    Index("events_by_time", "at"),
    sqlite_autoincrement=True,
)

strategies = Table(
    "strategies",
    metadata,
    Column("mode", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("strategy", String, nullable=False),
    Column("since", Double, nullable=False),
    Column("reason", String, nullable=False),
    Column("worked_at", Double),
    Column("proofs", JSON, nullable=False),
    Column("rounds", Integer, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
