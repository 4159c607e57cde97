"""Which interfaces can be served now, what is told of the others, and how often."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from netboot.config import Config, parse_config
from netboot.daemon.attendance import Attendance
from netboot.daemon.places import Survey, survey_of
from netboot.errors import InvalidInput, Unavailable
from netboot.model.event import Detail, EventKind
from netboot.system.links import Link

CONFIG = parse_config(
    '[[interface]]\nname = "eth1"\ndhcp = "own"\n[[interface]]\nname = "usb0"\ndhcp = "own"\n'
    '[[subnet]]\nnetwork = "10.9.0.0/24"\n[[subnet]]\nnetwork = "10.8.0.0/24"\n'
)


def link(name: str, *addresses: str, index: int = 2, up: bool = True) -> Link:
    own = tuple(IPv4Interface(each) for each in addresses)
    return Link(index=index, name=name, mac=bytes(6), up=up, mtu=1500, addresses=own)


LO, ETH1 = link("lo", "127.0.0.1/8", index=1), link("eth1", "10.9.0.1/24", "10.9.0.2/24")
USB0 = link("usb0", "10.8.0.1/24", index=3)


def why_not(found: Survey, name: str) -> str:
    return found.absent[name].message


def test_every_place_knows_all_our_addresses() -> None:
    eth1, usb0 = survey_of(CONFIG, [LO, ETH1, USB0, link("wlan0", "192.168.1.7/24")]).check().places
    assert (str(eth1.address), str(usb0.address)) == ("10.9.0.1", "10.8.0.1")
    everywhere = {IPv4Address(each) for each in ("10.9.0.1", "10.9.0.2", "10.8.0.1", "192.168.1.7")}
    assert eth1.other_addresses == everywhere - {eth1.address}
    assert usb0.other_addresses == everywhere - {usb0.address}


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ([LO, ETH1], "there is no interface usb0"),
        ([LO, ETH1, link("usb0")], "interface usb0 has no IPv4 address"),
    ],
)
def test_what_is_missing_keeps_nobody_else_waiting(links: list[Link], why: str) -> None:
    found = survey_of(CONFIG, links).check()
    assert [each.interface.name for each in found.places] == ["eth1"]
    assert why in why_not(found, "usb0")


def test_who_could_serve_nobody_is_told_why() -> None:
    with pytest.raises(Unavailable, match="there is no interface eth1") as error:
        survey_of(CONFIG, [LO, link("eth7")]).check()
    assert error.value.hint == "interfaces here: eth7"


@pytest.mark.parametrize(
    ("links", "more", "why", "hint"),
    [
        ([ETH1, link("usb0", "10.7.0.1/24")], "", "no [[subnet]] holds 10.7.0.1", 'network = "10.7.0.0/24"'),
        (
            [ETH1, USB0],
            '[[reservation]]\naddress = "10.8.0.1"\nclient_id = "kiosk"',
            "10.8.0.1 is interface usb0's own and cannot be reserved",
            "choose another address",
        ),
    ],
)
def test_a_mistake_of_the_file_is_one_although_others_could_be_served(
    links: list[Link], more: str, why: str, hint: str
) -> None:
    config = Config(interface=CONFIG.interface, subnet=CONFIG.subnet, reservation=parse_reservations(more))
    with pytest.raises(InvalidInput) as error:
        survey_of(config, links).check()
    assert why in error.value.message
    assert hint in str(error.value.hint)


def parse_reservations(tables: str) -> tuple[Any, ...]:
    return parse_config('[[subnet]]\nnetwork = "10.8.0.0/24"\n' + tables).reservation


def test_an_address_that_is_named_must_be_there() -> None:
    config = parse_config('[[interface]]\nname = "eth1"\naddress = "10.9.0.7"\n[[subnet]]\nnetwork = "10.9.0.0/24"')
    with pytest.raises(Unavailable, match="does not have the address") as error:
        survey_of(config, [ETH1]).check()
    assert "it has 10.9.0.1, 10.9.0.2" in str(error.value.hint)


def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    told: list[tuple[EventKind, Detail]] = []

    def record(kind: EventKind, **details: Detail) -> None:
        told.append((kind, details["interface"]))

    attendance = Attendance(record)
    one, both = survey_of(CONFIG, [ETH1]), survey_of(CONFIG, [ETH1, link("usb0", "10.8.0.1/24", up=False)])
    attendance.begin(one, {"eth1": "eth1 (a)"})
    for found, served in ((one, {"eth1": "eth1 (a)"}), (both, {"eth1": "eth1 (a)", "usb0": "usb0 (b)"})):
        attendance.take(found, {}, served)
        attendance.take(found, {}, served)
    attendance.take(one, {"eth1": Unavailable("the port is taken")}, {})
    assert told[0] == (EventKind.INTERFACE_SERVED, "usb0")
    assert sorted(told[1:]) == [(EventKind.INTERFACE_LOST, "eth1"), (EventKind.INTERFACE_LOST, "usb0")]
    assert caplog.text.count("there is no interface usb0") == 2
    assert caplog.text.count("ip link set usb0 up") == 1
    assert caplog.text.count("serving usb0 (b)") == 1
    assert caplog.text.count("the port is taken") == 1
