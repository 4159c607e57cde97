"""Leases on disk.

A lease is written before its ACK leaves, many at a time: whoever answers a burst of packets commits all their
leases in one transaction, and `commit` returns when they would survive a power failure.  What was merely
offered is not worth a write; a client that took it will ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from sqlalchemy import Engine, Row, bindparam, delete, insert, select

from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.store.database import reading, writing
from netboot.store.schema import leases


class LeaseRepository:
    """Leases in the database, one an address."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self) -> tuple[Lease, ...]:
        """Every lease, by address, expired ones too: a client that comes back gets the address it had."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(leases)).all()
        return tuple(sorted((_lease(row) for row in rows), key=lambda lease: lease.address))

    def commit(self, batch: Sequence[Lease]) -> None:
        """Make these leases durable, in one transaction; of several for one address the last counts."""
        rows = {str(lease.address): _row(lease) for lease in batch if lease.state is not LeaseState.OFFERED}
        if not rows:
            return
        with writing(self._engine) as connection:
            if self._engine.dialect.name != "sqlite":
                connection.execute(_DELETE, [{"old": address} for address in rows])
            connection.execute(_PUT, list(rows.values()))


# Built once: a commit stands between a client and its ACK.  Each engine spells an upsert in its own way: SQLite in two
# words, which take half the time of a delete and an insert.
_DELETE = delete(leases).where(leases.c.address == bindparam("old"))
_PUT = insert(leases).prefix_with("OR REPLACE", dialect="sqlite")


def _row(lease: Lease) -> dict[str, Any]:
    return {
        "address": str(lease.address),
        "mac": str(lease.mac),
        "state": lease.state.value,
        "expires_at": lease.expires_at,
        "client_id": lease.client_id,
        "hostname": lease.hostname,
    }


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        address=IPv4Address(row.address),
        mac=MacAddress.parse(row.mac),
        state=LeaseState(row.state),
        expires_at=row.expires_at,
        client_id=row.client_id,
        hostname=row.hostname,
    )
