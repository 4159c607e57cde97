"""Migration 7: leases as lines, one after another, instead of a row an address.

Addresses are given by what a MAC hashes to, so each lease of a batch changed a page of its own, twice with the index,
and the pages of fifty leases were written for fifty lines of text.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, Double, Integer, LargeBinary, MetaData, String, Table, text


def apply(connection: Connection) -> None:
    metadata = MetaData()
    Table(
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
    metadata.create_all(connection)
    names = "address, mac, state, expires_at, client_id, hostname"
    connection.execute(text(f"INSERT INTO lease_lines ({names}) SELECT {names} FROM leases"))  # noqa: S608
    connection.execute(text("DROP TABLE leases"))
