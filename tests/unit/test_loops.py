"""The alarm for a machine that fetches the same file again and again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from netboot.boot.loops import TIMES, WITHIN_S, LoopWatch
from netboot.boot.progress import verdict
from netboot.model.boot import Boot, Outcome
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from tests.kit import MAC, OTHER_MAC


def sent(at: float, file: str = "ipxe/snponly.efi", mac: MacAddress | None = MAC) -> Event:
    return Event(at=at, kind=EventKind.LOADER_SENT, mac=mac, details={"file": file})


def script(at: float) -> Event:
    return Event(at=at, kind=EventKind.SCRIPT_SENT, mac=MAC, details={"loader": "ipxe"})


def alarms(events: Sequence[Event]) -> list[Event]:
    told: list[Event] = []
    watch = LoopWatch(told.append)
    for event in events:
        watch.record(event)
    assert [each for each in told if each.kind is not EventKind.LOADER_LOOPS] == list(events)
    return [each for each in told if each.kind is EventKind.LOADER_LOOPS]


@pytest.mark.parametrize(
    ("events", "count"),
    [
        ([sent(float(at)) for at in range(TIMES - 1)], 0),
        ([sent(float(at)) for at in range(TIMES)], 1),
        ([script(float(at)) for at in range(TIMES)], 1),
        ([sent(float(at)) for at in range(TIMES * 2)], 2),
        ([sent(at * WITHIN_S) for at in range(TIMES * 2)], 0),
        ([sent(float(at), f"file-{at}") for at in range(TIMES)], 0),
        ([sent(float(at), mac=(MAC, OTHER_MAC)[at % 2]) for at in range(TIMES)], 0),
        ([sent(float(at), mac=None) for at in range(TIMES * 2)], 0),
    ],
)
def test_when_there_is_an_alarm(events: Sequence[Event], count: int) -> None:
    assert len(alarms(events)) == count


def test_the_alarm_names_client_and_file() -> None:
    (alarm,) = alarms([sent(float(at)) for at in range(TIMES)])
    assert alarm.mac == MAC
    assert alarm.details == {"file": "ipxe/snponly.efi", "times": TIMES, "within_s": WITHIN_S}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netboot.boot.loops._CLIENTS_MAX", 100)
    watch = LoopWatch(lambda _: None)
    for number in range(1000):
        watch.record(sent(0.0, mac=MacAddress(b"\x52\x54\x01" + number.to_bytes(3, "big"))))
    assert len(watch._fetched) == 100


def test_the_verdict_names_the_circle_until_the_machine_gets_on() -> None:
    looping = (sent(1.0), *alarms([sent(float(at)) for at in range(TIMES)]))
    said = verdict(Boot(id=1, mac=MAC, events=looping), now=5.0)
    assert (said.outcome, said.missing) == (Outcome.FAILED, EventKind.SCRIPT_SENT)
    assert "ipxe/snponly.efi 5 times" in (said.cause or "")
    kernel = Event(at=6.0, kind=EventKind.KERNEL_SENT, mac=MAC, details={})
    assert verdict(Boot(id=1, mac=MAC, events=(*looping, kernel)), now=7.0).outcome is Outcome.BOOTING
