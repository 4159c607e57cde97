"""Migration 3: boots and their events."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Connection, Double, ForeignKey, Index, Integer, MetaData, String, Table


def apply(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "boots",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("mac", String, nullable=False),
        Index("boots_of_client", "mac", "id"),
        sqlite_autoincrement=True,
    )
    Table(
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
    metadata.create_all(connection)
