from __future__ import annotations

from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.kvm import Accelerator
from netboot.lab.network import plan_lab
from netboot.lab.result import ClientResult, LabResult
from netboot.lab.watch import SILENCE_LIMIT_S, BootWatch, judge
from netboot.model.boot import Boot, Outcome, Verdict
from netboot.model.event import Event, EventKind
from netboot.store.database import open_database
from netboot.store.events import EventRepository

SEATS = plan_lab(2).seats
NEW_BOOT = -1


def boot(*kinds: EventKind) -> Boot:
    events = tuple(
        Event(at=100.0 + at, kind=kind, mac=SEATS[0].mac, details={"n": at}) for at, kind in enumerate(kinds)
    )
    return Boot(id=1, mac=SEATS[0].mac, events=events)


def result(outcome: Outcome, *, login_seen: bool) -> ClientResult:
    return ClientResult(
        seat=SEATS[0],
        verdict=Verdict(outcome=outcome, reached=EventKind.UP),
        boot=boot(EventKind.DISCOVERED, EventKind.UP),
        login_seen=login_seen,
        seconds=61.26,
        console=Path("/d/lab-01.console.log"),
        last_lines="lab-01 login:",
    )


@pytest.mark.parametrize(
    ("silent_for_s", "outcome"), [(1.0, Outcome.BOOTING), (SILENCE_LIMIT_S * 2 + 1, Outcome.STALLED)]
)
def test_a_client_never_heard_of_stalls_in_the_end(silent_for_s: float, outcome: Outcome) -> None:
    found = judge(None, on_since=100.0, now=100.0 + silent_for_s, patience=2.0)
    assert (found.outcome, found.reached, found.missing) == (outcome, None, EventKind.DISCOVERED)
    assert bool(found.cause and found.hint) is (outcome is Outcome.STALLED)


def test_a_client_heard_of_is_judged_by_its_boot() -> None:
    assert judge(boot(EventKind.DISCOVERED, EventKind.UP), on_since=0, now=9e9, patience=1).outcome is Outcome.UP


def test_a_watch_gives_each_event_of_the_lab_once(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    repository = EventRepository(engine)
    with BootWatch(tmp_path, SEATS) as watch:
        mine = Event(at=1.0, kind=EventKind.DISCOVERED, mac=SEATS[1].mac, boot=NEW_BOOT)
        repository.append([mine, Event(at=1.0, kind=EventKind.SERVER_STARTED)])
        assert [(seat.name, event.kind) for seat, event in watch.new_events()] == [("lab-02", EventKind.DISCOVERED)]
        assert list(watch.new_events()) == []

        assert watch.wait_for(SEATS[1], EventKind.DISCOVERED, timeout_s=0).at == 1.0
        with pytest.raises(Unavailable, match="lab-02 did not reach up within 0 s; it has: discovered"):
            watch.wait_for(SEATS[1], EventKind.UP, timeout_s=0)
        assert watch.boot(SEATS[0]) is None
    engine.dispose()


@pytest.mark.parametrize(
    ("outcome", "login_seen", "ok"),
    [(Outcome.UP, True, True), (Outcome.UP, False, False), (Outcome.STALLED, True, False)],
)
def test_a_boot_counts_when_report_and_console_agree(outcome: Outcome, login_seen: bool, ok: bool) -> None:
    assert result(outcome, login_seen=login_seen).ok is ok


def test_the_result_as_json() -> None:
    lab = LabResult(
        firmware=LabFirmware.UEFI,
        dhcp=LabDhcp.PROXY,
        accelerator=Accelerator.TCG,
        directory=Path("/d"),
        clients=(result(Outcome.UP, login_seen=True),),
    )
    shown = lab.as_json()
    assert {key: shown[key] for key in ("ok", "firmware", "dhcp", "accelerator", "directory")} == {
        "ok": True,
        "firmware": "uefi",
        "dhcp": "proxy",
        "accelerator": "tcg",
        "directory": "/d",
    }
    assert shown["clients"] == [
        {
            "name": "lab-01",
            "mac": "52:54:00:4e:42:01",
            "ok": True,
            "outcome": "up",
            "reached": "up",
            "missing": None,
            "cause": "",
            "hint": "",
            "login_seen": True,
            "seconds": 61.3,
            "steps": [
                {"kind": "discovered", "seconds": 0.0, "details": {"n": 0}},
                {"kind": "up", "seconds": 1.0, "details": {"n": 1}},
            ],
            "console": "/d/lab-01.console.log",
        }
    ]
