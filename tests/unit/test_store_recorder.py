"""The recorder never waits for the database, groups events into boots, and says when it had to drop some."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from netboot.boot.progress import begins_boot
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.store import EventRecorder, EventRepository, calm, installation_secret, open_database
from netboot.store import recorder as module
from tests.kit import MAC, OTHER_MAC

K = EventKind


def event(kind: EventKind, at: float = 1.0, mac: MacAddress | None = MAC, **details: str | int) -> Event:
    return Event(at=at, kind=kind, mac=mac, details=details)


@pytest.fixture
def events(tmp_path: Path) -> EventRepository:
    return EventRepository(open_database(tmp_path))


def kinds(story: Sequence[Event]) -> list[EventKind]:
    return [each.kind for each in story]


def test_events_are_grouped_into_boots(events: EventRepository) -> None:
    with EventRecorder(events, begins_boot) as recorder:
        recorder.record(event(K.SERVER_STARTED, mac=None))
        for mac in (MAC, OTHER_MAC):
            recorder.record(event(K.DISCOVERED, mac=mac, stage="firmware"))
            recorder.record(event(K.LOADER_SENT, mac=mac))
        recorder.record(event(K.DISCOVERED, stage="firmware"))
        assert recorder.flush()
        recorder.record(event(K.OFFERED))
    assert [(boot.mac, kinds(boot.events)) for boot in events.boots()] == [
        (MAC, [K.DISCOVERED, K.OFFERED]),
        (OTHER_MAC, [K.DISCOVERED, K.LOADER_SENT]),
        (MAC, [K.DISCOVERED, K.LOADER_SENT]),
    ]


def test_boot_goes_on_after_a_restart(events: EventRepository) -> None:
    with EventRecorder(events, begins_boot) as recorder:
        recorder.record(event(K.DISCOVERED, stage="firmware"))
    with EventRecorder(events, begins_boot) as recorder:
        recorder.record(event(K.LOADER_SENT))
    assert [kinds(boot.events) for boot in events.boots()] == [[K.DISCOVERED, K.LOADER_SENT]]


def test_boot_that_was_pruned_while_it_went_on_is_begun_anew(events: EventRepository) -> None:
    with EventRecorder(events, begins_boot) as recorder:
        recorder.record(event(K.DISCOVERED, stage="firmware"))
        assert recorder.flush()
        events.prune(1000)
        recorder.record(event(K.UP, at=2000))
    assert [kinds(boot.events) for boot in events.boots()] == [[K.UP]]


def test_record_does_not_wait_and_drops_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    monkeypatch.setattr("netboot.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    events = EventRepository(open_database(tmp_path))
    with EventRecorder(events, begins_boot, capacity=10) as recorder:
        with sqlite3.connect(tmp_path / "netboot.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            recorder.record(event(K.DISCOVERED))
            while "cannot be recorded" not in caplog.text:  # it has been taken from the queue
                time.sleep(0.01)
            started = time.monotonic()
            for _ in range(1000):
                recorder.record(event(K.OFFERED))
            assert time.monotonic() - started < 1.0
            assert not recorder.flush(timeout_s=0.3)  # several tries
            other.execute("ROLLBACK")
        assert recorder.flush()
    told = events.after(0)
    assert kinds(told) == [K.DISCOVERED, *[K.OFFERED] * 10, K.EVENTS_DROPPED]
    assert told[-1].details == {"count": 990}
    said = [record.message for record in caplog.records if record.name == "netboot.store.recorder"]
    assert [words.split(" until")[0] for words in said] == ["events cannot be recorded", "events are recorded again"]


@pytest.mark.parametrize(("longest_s", "capacity"), [(0.1, 60_000), (1000.0, 20)], ids=["late", "much"])
def test_events_are_written_although_it_is_never_calm(
    events: EventRepository, monkeypatch: pytest.MonkeyPatch, longest_s: float, capacity: int
) -> None:
    monkeypatch.setattr(calm, "LONGEST_S", longest_s)
    monkeypatch.setattr(calm, "CALM_S", 0.1)
    with EventRecorder(events, begins_boot, capacity=capacity) as recorder:
        until = time.monotonic() + 10
        while not events.last_id():
            recorder.record(event(K.OFFERED))
            assert time.monotonic() < until
            time.sleep(0.01)


def test_order_of_each_thread_is_kept(events: EventRepository) -> None:
    def tell(mac: MacAddress) -> None:
        for number in range(300):
            recorder.record(event(K.OFFERED, mac=mac, number=number))

    with EventRecorder(events, begins_boot) as recorder:
        threads = [threading.Thread(target=tell, args=(mac,)) for mac in (MAC, OTHER_MAC)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for mac in (MAC, OTHER_MAC):
        (boot,) = events.boots(mac)
        assert [each.details["number"] for each in boot.events] == list(range(300))


POISON = [
    Event(at=1.0, kind=K.OFFERED, mac=MAC, details={"bad": b"bytes"}),  # type: ignore[dict-item]
    Event(at=float("nan"), kind=K.OFFERED, mac=MAC),
]


@pytest.mark.parametrize("poison", POISON, ids=["details", "time"])
def test_event_that_no_database_takes_does_not_end_the_story(
    events: EventRepository, caplog: pytest.LogCaptureFixture, poison: Event
) -> None:
    with EventRecorder(events, begins_boot) as recorder:
        recorder.record(poison)
        assert recorder.flush()
        recorder.record(event(K.SERVER_STOPPED, mac=None))
    assert kinds(events.after(0)) == [K.SERVER_STOPPED]
    assert "could not be recorded" in caplog.text


def test_what_cannot_be_written_at_the_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("netboot.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    events = EventRepository(open_database(tmp_path))
    with sqlite3.connect(tmp_path / "netboot.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with EventRecorder(events, begins_boot) as recorder:
            recorder.record(event(K.DISCOVERED))
    assert "1 events could not be recorded and are lost" in caplog.text


def test_story_of_a_client_that_tries_for_hours_stays_short(events: EventRepository) -> None:
    with EventRecorder(events, begins_boot) as recorder:
        recorder.record(event(K.DISCOVERED, stage="firmware"))
        for _ in range(2 * module.LONGEST_STORY):
            recorder.record(event(K.ROOT_RETRIED))
        assert recorder.flush()
        assert len(recorder._stories._current[MAC]) <= module.LONGEST_STORY
    (boot,) = events.boots()
    assert len(boot.events) == 2 * module.LONGEST_STORY + 1


def test_secret_is_drawn_once(tmp_path: Path) -> None:
    first = installation_secret(open_database(tmp_path / "a"))
    assert len(first) == 32
    assert installation_secret(open_database(tmp_path / "a")) == first
    assert installation_secret(open_database(tmp_path / "b")) != first
