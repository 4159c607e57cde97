"""Migration 9: the disk with a loader of its own that a client boots from."""

from __future__ import annotations

from sqlalchemy import Connection, text


def apply(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE clients ADD COLUMN san VARCHAR"))
