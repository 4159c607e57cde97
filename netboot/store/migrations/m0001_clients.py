"""Migration 1: the record of migrations, the clients, and the counter by which caches know of changes."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Connection, Double, Integer, MetaData, String, Table


def apply(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "migrations",
        metadata,
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("name", String, nullable=False),
        Column("applied_at", Double, nullable=False),
    )
    Table(
        "clients",
        metadata,
        Column("mac", String, primary_key=True),
        Column("name", String, nullable=False, unique=True),
        Column("image", String),
        Column("root", String, nullable=False),
        Column("loader", String, nullable=False),
        Column("address", String, unique=True),
        Column("kernel_args", JSON, nullable=False),
        Column("shell", Boolean, nullable=False),
        Column("created_at", Double, nullable=False),
    )
    revisions = Table(
        "revisions",
        metadata,
        Column("name", String, primary_key=True),
        Column("number", Integer, nullable=False),
    )
    metadata.create_all(connection)
    connection.execute(revisions.insert().values(name="clients", number=0))
