"""Leases on disk.

A lease is written before its ACK leaves, many at a time: whoever answers a burst of packets commits all their
leases in one transaction, and `commit` returns when they would survive a power failure.  What was merely
offered is not worth a write; a client that took it will ask for it.

Lines are only added, and the last line of an address counts: so a batch changes one page, where with a row an address
each lease would change a page of its own.  Lines that others have overtaken are cleared away when many have gathered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ipaddress import IPv4Address
from socket import inet_ntoa
from typing import Any

from sqlalchemy import Engine, Row, delete, func, select

from netboot.errors import NetbootError
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.store.database import reading, writing
from netboot.store.rows import commit_rows
from netboot.store.schema import lease_lines

log = logging.getLogger(__name__)

# Some ten megabytes.  Clients wait while lines are cleared away, for a fraction of a second.
OVERTAKEN_MAX = 100_000


class LeaseRepository:
    """Leases in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._overtaken = 0  # at most so many lines are

    def load(self) -> tuple[Lease, ...]:
        """Every lease, by address, expired ones too: a client that comes back gets the address it had."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(lease_lines).order_by(lease_lines.c.id)).all()
        last = {row.address: row for row in rows}
        self._overtaken = len(rows) - len(last)
        return tuple(sorted(map(_lease, last.values()), key=lambda lease: lease.address))

    def commit(self, batch: Sequence[Lease]) -> None:
        """Make these leases durable, in one transaction; of several for one address the last counts."""
        rows = [_row(lease) for lease in batch if lease.state is not LeaseState.OFFERED]
        if not rows:
            return
        commit_rows(self._engine, lease_lines, _NAMES, rows)
        self._overtaken += len(rows)
        if self._overtaken >= OVERTAKEN_MAX:
            self._clear_away()

    def _clear_away(self) -> None:
        """What was committed stays so whether this works or not; it is tried again after as many more."""
        try:
            with writing(self._engine) as connection:
                connection.execute(_CLEAR_AWAY)
        except NetbootError as error:
            log.warning("lines of leases that others have overtaken cannot be cleared away: %s", error)
        self._overtaken = 0


_NAMES = ("address", "mac", "state", "expires_at", "client_id", "hostname")
_CLEAR_AWAY = delete(lease_lines).where(
    lease_lines.c.id.not_in(select(func.max(lease_lines.c.id)).group_by(lease_lines.c.address))
)


def _row(lease: Lease) -> tuple[Any, ...]:
    """In the order of `_NAMES`."""
    address, mac = inet_ntoa(lease.address.packed), lease.mac.octets.hex(":")
    return address, mac, lease.state._value_, lease.expires_at, lease.client_id, lease.hostname


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        address=IPv4Address(row.address),
        mac=MacAddress.parse(row.mac),
        state=LeaseState(row.state),
        expires_at=row.expires_at,
        client_id=row.client_id,
        hostname=row.hostname,
    )
