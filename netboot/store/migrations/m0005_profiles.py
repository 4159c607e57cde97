"""Migration 5: the profiles of a client."""

from __future__ import annotations

from sqlalchemy import Connection, text


def apply(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE clients ADD COLUMN profiles JSON NOT NULL DEFAULT '[]'"))
