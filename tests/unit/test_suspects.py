"""Whom a boot that stalls before its loader came points at."""

from __future__ import annotations

import pytest

from netboot.boot.progress import verdict
from netboot.boot.suspects import suspect
from netboot.model.boot import Boot, Outcome
from netboot.model.event import Detail, Event, EventKind
from tests.kit import MAC

K = EventKind


def event(kind: EventKind, **details: Detail) -> Event:
    return Event(at=1.0, kind=kind, mac=MAC, details=details)


PXE, HTTP = event(K.DISCOVERED, firmware="uefi", stage="firmware"), event(K.DISCOVERED, firmware="uefi-http")
LENT = event(K.OFFERED, address="10.9.0.100", strategy="direct")
PROXIED = event(K.OFFERED, strategy="invite")
URL, PROXIED_URL = event(K.OFFERED, address="10.9.0.100"), event(K.OFFERED)
ACKED = event(K.ACKED)
REQUESTED = event(K.REQUESTED, server="10.9.0.2")
ELSEWHERE = event(K.ADDRESS_OFFERED, server="10.9.0.2")
FOREIGN = event(K.FOREIGN_BOOT_SERVER, server="10.9.0.2", sent="the boot file pxelinux.0 of 10.9.0.2")
RIVAL = event(K.FOREIGN_DHCP_SERVER, server="10.9.0.2")


@pytest.mark.parametrize(
    ("events", "cause", "hint"),
    [
        ((PXE, PROXIED, FOREIGN), "10.9.0.2, told the client what to boot as well: the boot file pxelinux.0", "43, 60"),
        ((PXE, LENT, FOREIGN, ACKED), "it probably went there", "take boot information out of 10.9.0.2"),
        ((PXE, LENT, REQUESTED), "10.9.0.2, lends addresses here too", 'dhcp = "proxy"'),
        ((PXE, RIVAL, LENT), "10.9.0.2, lends addresses here too", "switch 10.9.0.2 off"),
        ((HTTP, URL, ACKED), "refuses plain HTTP", "by PXE"),
        ((HTTP, PROXIED_URL, ELSEWHERE, REQUESTED), "refuses plain HTTP", "HTTP port"),
        ((PXE, PROXIED), "no DHCP server was seen to lend it an address", 'dhcp = "own"'),
        ((HTTP, PROXIED_URL), "no DHCP server was seen to lend it an address", 'dhcp = "own"'),
        ((PXE, PROXIED, ELSEWHERE), "in the way called invite", "client show"),
        ((PXE, PROXIED, ELSEWHERE, REQUESTED), "in the way called invite", "another way"),
        ((PXE, LENT, event(K.STRATEGY_CHANGED)), "in the way called direct", "another way"),
        ((PXE, LENT, ACKED, event(K.STRATEGY_CHANGED)), "in the way called direct", "another way"),
    ],
)
def test_whom_a_stalled_boot_points_at(events: tuple[Event, ...], cause: str, hint: str) -> None:
    found = verdict(Boot(id=1, mac=MAC, events=events), now=1e6)
    assert found.outcome is Outcome.STALLED
    assert cause in found.cause
    assert hint in found.hint


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ((PXE, LENT, ACKED), "never fetched its loader over TFTP"),
        ((PXE, LENT), "did not take our offer"),
        ((PXE,), "made it no offer"),
        ((PXE, LENT, FOREIGN, ACKED, event(K.LOADER_SENT, file="ipxe/snponly.efi")), "never asked for its script"),
    ],
)
def test_otherwise_it_is_the_usual_cause(events: tuple[Event, ...], cause: str) -> None:
    assert cause in verdict(Boot(id=1, mac=MAC, events=events), now=1e6).cause


def test_a_boot_that_goes_on_has_no_suspects() -> None:
    assert suspect((PXE, FOREIGN), K.SCRIPT_SENT) is None
