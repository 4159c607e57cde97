"""Clients: what is unique stays unique, and whatever fails changes nothing."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.errors import Conflict, InvalidInput, NotFound
from netboot.model.client import Client
from netboot.model.loader import LoaderChoice
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.store import ClientRepository, open_database
from tests.kit import MAC, OTHER_MAC

ONE = Client(  # noqa: S604 - not that kind of shell
    mac=MAC,
    name="lab-01",
    image=VersionRef("debian", 3),
    loader=LoaderChoice.PXELINUX,
    address=IPv4Address("10.0.0.7"),
    kernel_args=("console=ttyS0", "quiet"),
    shell=True,
    created_at=17.5,
)


@pytest.fixture
def clients(tmp_path: Path) -> ClientRepository:
    return ClientRepository(open_database(tmp_path))


def test_what_is_added_is_found_whole(clients: ClientRepository) -> None:
    clients.add(ONE)
    assert clients.find(MAC) == clients.get("lab-01") == clients.get("52-54-00-00-00-01") == ONE
    assert clients.find(OTHER_MAC) is None


def test_list_is_by_name(clients: ClientRepository) -> None:
    clients.add(Client(mac=MAC, name="b"))
    clients.add(Client(mac=OTHER_MAC, name="a"))
    assert [each.name for each in clients.list()] == ["a", "b"]


def test_name_that_looks_like_a_mac_address_wins(clients: ClientRepository) -> None:
    clients.add(Client(mac=MAC, name="525400000002"))
    clients.add(Client(mac=OTHER_MAC, name="other"))
    assert clients.get("525400000002").mac == MAC


@pytest.mark.parametrize(
    ("second", "says", "hint"),
    [
        (Client(mac=MAC, name="new"), "already client lab-01", "netboot client set lab-01"),
        (Client(mac=OTHER_MAC, name="lab-01"), "belongs to the client with 52:54:00:00:00:01", "--name NEW"),
        (
            Client(mac=OTHER_MAC, name="new", address=IPv4Address("10.0.0.7")),
            "10.0.0.7 is reserved for client lab-01",
            "--address none",
        ),
    ],
)
def test_duplicates_conflict_and_change_nothing(
    clients: ClientRepository, second: Client, says: str, hint: str
) -> None:
    clients.add(ONE)
    revision = clients.revision()
    with pytest.raises(Conflict) as caught:
        clients.add(second)
    assert says in caught.value.message
    assert hint in str(caught.value.hint)
    assert clients.snapshot() == (revision, (ONE,))


def test_change_into_anothers_name_conflicts(clients: ClientRepository) -> None:
    clients.add(ONE)
    clients.add(Client(mac=OTHER_MAC, name="lab-02"))
    before = clients.snapshot()
    with pytest.raises(Conflict) as caught:
        clients.change("lab-02", lambda client: dataclasses.replace(client, name="lab-01"))
    assert "lab-01 belongs to the client with 52:54:00:00:00:01" in caught.value.message
    assert clients.snapshot() == before


def test_change_gives_the_new_client(clients: ClientRepository) -> None:
    clients.add(ONE)
    changed = clients.change("lab-01", lambda client: dataclasses.replace(client, image=None, mac=OTHER_MAC))
    assert changed.image is None
    assert clients.list() == (changed,)
    assert clients.find(OTHER_MAC) == changed


def test_change_that_raises_changes_nothing(clients: ClientRepository) -> None:
    clients.add(ONE)
    before = clients.snapshot()

    def refuse(client: Client) -> Client:
        raise InvalidInput("no")

    with pytest.raises(InvalidInput):
        clients.change("lab-01", refuse)
    with pytest.raises(InvalidInput):
        clients.change("lab-01", lambda client: dataclasses.replace(client, name="Not A Hostname"))
    assert clients.snapshot() == before


def test_removed_client_is_gone(clients: ClientRepository) -> None:
    clients.add(ONE)
    assert clients.remove(str(MAC)) == ONE
    assert clients.list() == ()
    clients.add(ONE)


def test_not_found_names_the_nearest(clients: ClientRepository) -> None:
    with pytest.raises(NotFound) as caught:
        clients.get("lab-01")
    assert "netboot client add" in str(caught.value.hint)
    clients.add(ONE)
    for attempt in (clients.get, clients.remove):
        with pytest.raises(NotFound) as caught:
            attempt("lab-10")
        assert "did you mean lab-01?" in str(caught.value.hint)


def test_each_change_raises_the_revision(clients: ClientRepository) -> None:
    seen = [clients.revision()]
    clients.add(ONE)
    seen.append(clients.revision())
    clients.change("lab-01", lambda client: dataclasses.replace(client, shell=False))
    seen.append(clients.revision())
    clients.remove("lab-01")
    seen.append(clients.revision())
    assert seen == sorted(set(seen))


def test_mac_address_is_parsed_again_from_the_file(clients: ClientRepository) -> None:
    clients.add(ONE)
    assert isinstance(clients.list()[0].mac, MacAddress)
