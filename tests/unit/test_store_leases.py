"""Leases: one an address, the last word counts, offers are not worth a write."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from sqlalchemy import func, select

from netboot.errors import Unavailable
from netboot.model.lease import Lease, LeaseState
from netboot.store import LeaseRepository, open_database
from netboot.store.database import reading
from netboot.store.schema import lease_lines
from tests.kit import MAC, OTHER_MAC

ONE = Lease(
    address=IPv4Address("10.0.0.9"),
    mac=MAC,
    state=LeaseState.ACTIVE,
    expires_at=12345.75,
    client_id=b"\x01\x52\x54\x00\xff",
    hostname="lab-01",
)
TWO = Lease(address=IPv4Address("10.0.0.10"), mac=OTHER_MAC, state=LeaseState.DECLINED, expires_at=2.0)


@pytest.fixture
def leases(tmp_path: Path) -> LeaseRepository:
    return LeaseRepository(open_database(tmp_path))


def test_leases_come_back_whole_and_by_address(leases: LeaseRepository, tmp_path: Path) -> None:
    leases.commit([TWO, ONE])
    assert LeaseRepository(open_database(tmp_path)).load() == (ONE, TWO)


def test_last_word_on_an_address_counts(leases: LeaseRepository) -> None:
    leases.commit([ONE])
    released = ONE._replace(state=LeaseState.RELEASED)
    taken_over = ONE._replace(mac=OTHER_MAC, client_id=None)
    leases.commit([released, taken_over])
    assert leases.load() == (taken_over,)


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 200])
def test_a_batch_is_written_whole_and_in_its_order_however_large_it_is(leases: LeaseRepository, count: int) -> None:
    batch = [
        ONE._replace(address=IPv4Address("10.0.0.0") + number, expires_at=float(number), client_id=bytes([number, 0]))
        for number in range(count)
    ]
    overtaken = [each._replace(mac=OTHER_MAC, state=LeaseState.RELEASED, hostname=None) for each in batch[:-1]]

    leases.commit([*overtaken, *batch])

    assert leases.load() == tuple(batch)


def test_overtaken_lines_are_cleared_away_when_many_have_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netboot.store.leases.OVERTAKEN_MAX", 7)
    engine = open_database(tmp_path)

    def lines() -> int:
        with reading(engine) as connection:
            return connection.scalar(select(func.count()).select_from(lease_lines)) or 0

    for _ in range(3):
        LeaseRepository(engine).commit([TWO, ONE])
    assert lines() == 6
    leases = LeaseRepository(engine)
    assert leases.load() == (ONE, TWO)
    renewed = ONE._replace(expires_at=99999.0)
    leases.commit([renewed])
    leases.commit([renewed])
    assert lines() == 8
    leases.commit([renewed])
    assert lines() == 2
    assert leases.load() == (renewed, TWO)


def test_offers_are_not_written(leases: LeaseRepository) -> None:
    leases.commit([ONE._replace(state=LeaseState.OFFERED), TWO])
    assert leases.load() == (TWO,)
    leases.commit([])


def test_batch_is_written_whole_or_not_at_all(leases: LeaseRepository) -> None:
    # A float that the database refuses (NaN is stored as NULL, which the column forbids) breaks the batch.
    broken = TWO._replace(expires_at=float("nan"))
    with pytest.raises(Exception, match="NOT NULL"):
        leases.commit([ONE, broken])
    assert leases.load() == ()


def test_locked_database_is_an_error_and_not_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr("netboot.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    leases = LeaseRepository(open_database(tmp_path))
    with sqlite3.connect(tmp_path / "netboot.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            leases.commit([ONE])


def test_a_lease_is_not_taken_for_durable_in_a_file_that_was_removed(leases: LeaseRepository, tmp_path: Path) -> None:
    leases.commit([ONE])
    (tmp_path / "netboot.db").unlink()
    with pytest.raises(Unavailable, match="removed"):
        leases.commit([TWO])


def test_leases_stay_written_when_overtaken_lines_cannot_be_cleared_away(
    leases: LeaseRepository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(engine: object) -> None:
        raise Unavailable("there is no space left", hint="make some")

    monkeypatch.setattr("netboot.store.leases.OVERTAKEN_MAX", 2)
    monkeypatch.setattr("netboot.store.leases.writing", refuse)
    leases.commit([ONE, TWO])
    assert leases.load() == (ONE, TWO)
    assert "cannot be cleared away" in caplog.text
