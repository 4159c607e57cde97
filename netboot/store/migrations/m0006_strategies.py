"""Migration 6: what firmware has taught, and the strategy that an admin pins for a client."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Connection, Double, Integer, MetaData, String, Table, text


def apply(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE clients ADD COLUMN strategy VARCHAR"))
    metadata = MetaData()
    Table(
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
    metadata.create_all(connection)
