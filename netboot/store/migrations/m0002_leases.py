"""Migration 2: the leases."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Double, LargeBinary, MetaData, String, Table


def apply(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "leases",
        metadata,
        Column("address", String, primary_key=True),
        Column("mac", String, nullable=False),
        Column("state", String, nullable=False),
        Column("expires_at", Double, nullable=False),
        Column("client_id", LargeBinary),
        Column("hostname", String),
    )
    metadata.create_all(connection)
