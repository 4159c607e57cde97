"""Addresses reserved by what a packet says: a client identifier, or the port of a relay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.config import parse_config
from netboot.dhcp.message import MessageType
from netboot.dhcp.policy import Policy
from netboot.dhcp.reserved import Reserved
from netboot.model.lease import Lease
from netboot.model.mac import MacAddress
from tests.dhcp_kit import LAB, RESERVED, UEFI, Raw, active, discover, dora, extending, make_policy, reply, selecting
from tests.kit import MAC, OTHER_MAC

SUBNET = '[[subnet]]\nnetwork = "10.9.0.0/24"\n'
RELAY = IPv4Address("10.9.0.2")


def policy(*reservations: Mapping[str, str], leases: Iterable[Lease] = ()) -> Policy:
    tables = "".join(
        "[[reservation]]\n" + "".join(f'{key} = "{value}"\n' for key, value in each.items()) for each in reservations
    )
    config = parse_config(SUBNET + tables)
    return make_policy(fixed=Reserved(config.reservation), leases=leases)


def offered(policy: Policy, more: Raw, mac: MacAddress = MAC, giaddr: str = "0.0.0.0") -> str:
    return str(reply(discover(more=more, mac=mac, giaddr=IPv4Address(giaddr)), policy).yiaddr)


KIOSK = {"address": "10.9.0.50", "client_id": "kiosk"}


@pytest.mark.parametrize(
    ("written", "sent", "matches"),
    [
        ("kiosk", b"kiosk", True),
        ("kiosk", b"\0kiosk", True),
        ("kiosk", b"\x01kiosk", False),
        ("kiosk", b"kiosk2", False),
        ("0xff0102", b"\xff\x01\x02", True),
        ("0xff0102", b"\0\xff\x01\x02", False),
        ("text:0xff", b"0xff", True),
        ("text:01:02", b"01:02", True),
        ("käfig", "käfig".encode(), True),
    ],
)
def test_a_client_identifier_is_text_or_bytes(written: str, sent: bytes, matches: bool) -> None:
    given = policy({"address": "10.9.0.50", "client_id": written})
    assert (offered(given, {61: sent}) == "10.9.0.50") is matches


def port(**said: bytes) -> Raw:
    codes = {"circuit": 1, "remote": 2, "subscriber": 6}
    return {82: b"".join(bytes((codes[name], len(value))) + value for name, value in said.items())}


@pytest.mark.parametrize(
    ("said", "address"),
    [
        (port(circuit=b"ge-1", remote=b"sw-1"), "10.9.0.51"),
        (port(circuit=b"ge-1", remote=b"sw-2"), "10.9.0.52"),
        (port(circuit=b"ge-1"), "10.9.0.52"),
        (port(remote=b"sw-1"), None),
        (port(subscriber=b"\x01\x02", circuit=b"ge-7"), "10.9.0.56"),
        (port(subscriber=b"\x01\x02", circuit=b"ge-1"), "10.9.0.52"),
        ({82: b"\x01\xff"}, None),
        ({}, None),
    ],
)
def test_a_relay_port_by_all_that_is_asked_and_the_narrowest_first(said: Raw, address: str | None) -> None:
    given = policy(
        {"address": "10.9.0.51", "circuit_id": "ge-1", "remote_id": "sw-1"},
        {"address": "10.9.0.52", "circuit_id": "ge-1"},
        {"address": "10.9.0.56", "subscriber_id": "0x0102"},
    )
    got = offered(given, said, giaddr=str(RELAY))
    assert got == address if address else got.startswith("10.9.0.10")


def test_a_reserved_address_is_nobody_elses_and_needs_no_pool() -> None:
    given = policy({"address": "10.9.0.103", "client_id": "kiosk"})
    assert offered(given, {50: bytes((10, 9, 0, 103))}) != "10.9.0.103"
    nak = reply(selecting("10.9.0.103"), given)
    assert (nak.type, nak.options[56]) == (MessageType.NAK, b"10.9.0.103 is reserved for another client")
    assert offered(given, {61: b"kiosk"}, OTHER_MAC) == "10.9.0.103"


def test_a_reservation_by_mac_wins() -> None:
    by_mac = replace(LAB, address=IPv4Address("10.9.0.60"))
    assert offered(replace(policy(KIOSK), boot=make_policy(by_mac).boot), {61: b"kiosk"}) == "10.9.0.60"
    both = policy({"address": "10.9.0.7", "client_id": "kiosk"})
    shared = replace(both, boot=make_policy(RESERVED).boot, reservations=make_policy(RESERVED).reservations)
    assert offered(shared, {61: b"kiosk"}).startswith("10.9.0.10")
    assert offered(shared, {}, RESERVED.mac) == "10.9.0.7"


def test_a_machine_known_by_its_identifier_has_its_address_in_every_stage_of_the_next_boot() -> None:
    given = policy(KIOSK)
    assert str(dora(given, UEFI).yiaddr) != "10.9.0.50"  # nothing tells yet who that is
    assert str(dora(given, more={61: b"kiosk"}).yiaddr) == "10.9.0.50"
    for more in ({}, {61: b"\x01" + MAC.octets}, {61: b"\xff a name of the system's own"}, {61: b"kiosk"}) * 2:
        assert str(dora(given, UEFI, more=more).yiaddr) == "10.9.0.50"
    assert offered(given, {61: b"kiosk"}, OTHER_MAC).startswith("10.9.0.10")  # a clone waits for the lease's end


def test_who_had_the_address_from_the_pool_before_gives_it_up_at_the_next_boot() -> None:
    given = policy({"address": "10.9.0.103", "client_id": "kiosk"}, leases=[active("10.9.0.103", client_id=b"me")])
    assert reply(extending("10.9.0.103", more={61: b"me"}), given).type is MessageType.ACK
    assert offered(given, {61: b"me"}) != "10.9.0.103"


def test_a_renewal_past_the_relay_keeps_the_ports_address() -> None:
    given = policy({"address": "10.9.0.51", "circuit_id": "ge-1"})
    assert str(dora(given, more=port(circuit=b"ge-1"), giaddr=RELAY).yiaddr) == "10.9.0.51"
    assert reply(extending("10.9.0.51"), given).type is MessageType.ACK
    assert offered(given, port(circuit=b"ge-9"), giaddr=str(RELAY)).startswith("10.9.0.10")  # it was carried elsewhere
