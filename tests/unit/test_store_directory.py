"""The directory answers from memory, soon knows of changes, and outlives a database that cannot be asked."""

from __future__ import annotations

import dataclasses
import logging
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.model.client import Client
from netboot.store import ClientDirectory, ClientRepository, open_database
from tests.kit import MAC, OTHER_MAC

ONE = Client(mac=MAC, name="lab-01", address=IPv4Address("10.0.0.7"))


class Clock:
    """Time that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clients(tmp_path: Path) -> ClientRepository:
    return ClientRepository(open_database(tmp_path))


def test_finds_by_mac_and_by_reserved_address(clients: ClientRepository) -> None:
    clients.add(ONE)
    directory = ClientDirectory(clients)
    assert directory.find(MAC) == directory.reserved(IPv4Address("10.0.0.7")) == ONE
    assert directory.find(OTHER_MAC) is None
    assert directory.reserved(IPv4Address("10.0.0.8")) is None
    assert directory.list() == (ONE,)


def test_change_is_known_after_a_tenth_of_a_second_and_not_before(clients: ClientRepository) -> None:
    clock = Clock()
    directory = ClientDirectory(clients, clock=clock)
    clients.add(ONE)
    clock.now += 0.09
    assert directory.find(MAC) is None
    clock.now += 0.02
    assert directory.find(MAC) == ONE
    clients.change("lab-01", lambda client: dataclasses.replace(client, name="lab-02"))
    clock.now += 0.11
    assert directory.find(MAC) == dataclasses.replace(ONE, name="lab-02")


def test_last_copy_stays_when_the_database_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = open_database(tmp_path)
    clients = ClientRepository(engine)
    clients.add(ONE)
    clock = Clock()
    directory = ClientDirectory(clients, clock=clock)
    engine.dispose()
    for file in tmp_path.glob("netboot.db*"):
        file.write_bytes(b"overwritten by somebody" * 500)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            clock.now += 1
            assert directory.find(MAC) == ONE
    assert len(caplog.records) == 1


def test_database_that_cannot_be_read_is_noticed_at_once(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    engine.dispose()
    for file in tmp_path.glob("netboot.db*"):
        file.write_bytes(b"overwritten by somebody" * 500)
    with pytest.raises(NetbootError):
        ClientDirectory(ClientRepository(engine))
