"""Migration 8: a client's wishes for its boot, in which its root mode has its place."""

from __future__ import annotations

from sqlalchemy import Connection, text


def apply(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE clients ADD COLUMN wishes JSON NOT NULL DEFAULT '{}'"))
    connection.execute(text("ALTER TABLE clients DROP COLUMN root"))
