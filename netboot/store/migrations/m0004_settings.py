"""Migration 4: what the installation remembers of itself."""

from __future__ import annotations

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table


def apply(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "settings",
        metadata,
        Column("name", String, primary_key=True),
        Column("value", LargeBinary, nullable=False),
    )
    metadata.create_all(connection)
