"""A dictionary and the repository, driven by the same random changes, never tell them apart."""

from __future__ import annotations

import dataclasses
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from netboot.errors import Conflict, NotFound
from netboot.model.client import Client
from netboot.model.loader import LoaderChoice, LoaderFile
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.san import SanUri
from netboot.store import ClientDirectory, ClientRepository, open_database

# Few of each, so that they collide often.
MACS = [MacAddress.parse(f"52:54:00:00:00:0{digit}") for digit in range(1, 6)]
macs = st.sampled_from(MACS)
names = st.sampled_from(["a", "b", "lab-1", "lab-2", "525400000001"])
addresses = st.none() | st.sampled_from([IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")])
refs = st.none() | st.builds(
    VersionRef, st.sampled_from(["debian", "kiosk.2"]), st.sampled_from(["latest", "stable", 7])
)
clients = st.builds(
    Client,
    mac=macs,
    name=names,
    image=refs,
    profiles=st.lists(st.sampled_from(["room", "lab-2", "x"]), unique=True).map(tuple),
    loader=st.sampled_from([*LoaderChoice, LoaderFile("ipxe/mine.efi")]),
    address=addresses,
    kernel_args=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    shell=st.booleans(),
    created_at=st.floats(0, 4e9),
    san=st.none()
    | st.builds(SanUri, server=st.just("nas"), target=st.just("naa.0123456789abcdef"), lun=st.just("1-f")),
)


def clashes(client: Client, others: list[Client]) -> bool:
    return any(
        client.mac == other.mac
        or client.name == other.name
        or (client.address is not None and client.address == other.address)
        for other in others
    )


class Repository(RuleBasedStateMachine):
    """The model is a plain dictionary by MAC address."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = open_database(Path(self.folder.name), synchronous="NORMAL")
        self.repository = ClientRepository(self.engine)
        self.directory = ClientDirectory(self.repository, max_age_s=0.0)
        self.model: dict[MacAddress, Client] = {}
        self.revision = self.repository.revision()

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    @rule(client=clients)
    def add(self, client: Client) -> None:
        if clashes(client, list(self.model.values())):
            self._refused(lambda: self.repository.add(client))
            return
        self.repository.add(client)
        self.model[client.mac] = client
        self._grown()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), new=clients)
    def change(self, data: st.DataObject, new: Client) -> None:
        old = data.draw(st.sampled_from(sorted(self.model.values(), key=lambda client: client.mac)))
        if clashes(new, [each for each in self.model.values() if each != old]):
            self._refused(lambda: self.repository.change(old.name, lambda client: new))
            return
        assert self.repository.change(old.name, lambda client: new) == new
        del self.model[old.mac]
        self.model[new.mac] = new
        self._grown()

    @rule(mac=macs)
    def remove(self, mac: MacAddress) -> None:
        by_name = next((each for each in self.model.values() if each.name == mac.octets.hex()), None)
        expected = by_name or self.model.get(mac)
        key = mac.octets.hex()
        try:
            gone = self.repository.remove(key)
        except NotFound:
            assert expected is None
            return
        assert gone == expected
        del self.model[gone.mac]
        self._grown()

    @rule(name=names)
    def get(self, name: str) -> None:
        known = {each.name: each for each in self.model.values()}
        mac_of_name = MACS[0] if name == "525400000001" else None
        expected = known.get(name) or (self.model.get(mac_of_name) if mac_of_name else None)
        try:
            assert self.repository.get(name) == expected
        except NotFound as error:
            assert expected is None
            assert error.hint

    @invariant()
    def same(self) -> None:
        expected = tuple(sorted(self.model.values(), key=lambda client: client.name))
        assert self.repository.list() == expected
        assert self.directory.list() == expected
        for mac in MACS:
            assert self.repository.find(mac) == self.directory.find(mac) == self.model.get(mac)
        assert self.repository.revision() == self.revision

    def _grown(self) -> None:
        assert self.repository.revision() > self.revision
        self.revision = self.repository.revision()

    def _refused(self, attempt: object) -> None:
        assert callable(attempt)
        try:
            attempt()
        except Conflict as error:
            assert error.hint
        else:
            raise AssertionError("a duplicate was let in")


TestRepository = Repository.TestCase
TestRepository.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


def test_a_change_of_one_field_leaves_the_others(tmp_path: Path) -> None:
    repository = ClientRepository(open_database(tmp_path))
    client = Client(mac=MACS[0], name="a", kernel_args=("x",), created_at=5.5)
    repository.add(client)
    repository.change("a", lambda current: dataclasses.replace(current, image=VersionRef("x")))
    assert repository.get("a") == dataclasses.replace(client, image=VersionRef("x"))
