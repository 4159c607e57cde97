"""Events keep their order, boots their events; pruning takes a boot as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from netboot.errors import NotFound
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.store.database import open_database
from netboot.store.events import EventFilter, EventRepository
from tests.kit import MAC, OTHER_MAC

K = EventKind


def event(kind: EventKind, at: float, mac: MacAddress | None = MAC, boot: int | None = None) -> Event:
    return Event(at=at, kind=kind, mac=mac, boot=boot, details={"a": 1, "b": "zwei", "c": 3.5})


@pytest.fixture
def events(tmp_path: Path) -> EventRepository:
    return EventRepository(open_database(tmp_path))


def test_ids_grow_and_events_come_back_whole(events: EventRepository) -> None:
    told = [event(K.SERVER_STARTED, 1.0, mac=None), event(K.DISCOVERED, 2.0, boot=-1), event(K.OFFERED, 3.0, boot=-1)]
    written = events.append(told)
    assert events.after(0) == written
    ids = [each.id for each in written if each.id]
    assert len(ids) == 3
    assert ids == sorted(set(ids))
    assert events.last_id() == ids[-1]
    assert [each._replace(id=None, boot=None) for each in written] == [each._replace(boot=None) for each in told]


def test_negative_boots_of_a_batch_become_boots(events: EventRepository) -> None:
    written = events.append(
        [
            event(K.DISCOVERED, 1, boot=-1),
            event(K.DISCOVERED, 2, mac=OTHER_MAC, boot=-2),
            event(K.OFFERED, 3, boot=-1),
        ]
    )
    assert written[0].boot == written[2].boot != written[1].boot
    again = events.append([event(K.DISCOVERED, 4, boot=-1)])
    assert [boot.id for boot in events.boots()] == [again[0].boot, written[1].boot, written[0].boot]


def test_boots_of_one_client_newest_first(events: EventRepository) -> None:
    assert events.latest_boot(MAC) is None
    events.append([event(K.DISCOVERED, 1, boot=-1), event(K.DISCOVERED, 2, mac=OTHER_MAC, boot=-2)])
    events.append([event(K.DISCOVERED, 3, boot=-1)])
    mine = events.boots(MAC)
    assert [boot.started_at for boot in mine] == [3, 1]
    assert events.latest_boot(MAC) == mine[0] == events.boot(mine[0].id)
    assert events.boots(limit=1) == mine[:1]


def test_unknown_boot(events: EventRepository) -> None:
    with pytest.raises(NotFound) as caught:
        events.boot(77)
    assert "netboot boot list" in str(caught.value.hint)


def test_filters_narrow(events: EventRepository) -> None:
    written = events.append(
        [
            event(K.DISCOVERED, 1, boot=-1),
            event(K.DISCOVERED, 2, mac=OTHER_MAC, boot=-2),
            event(K.OFFERED, 3, boot=-1),
            event(K.SERVER_STOPPED, 4, mac=None),
        ]
    )
    assert events.after(0, only=EventFilter(mac=MAC)) == (written[0], written[2])
    assert events.after(0, only=EventFilter(boot=written[1].boot)) == (written[1],)
    assert events.after(0, only=EventFilter(since=2.5)) == written[2:]
    assert events.after(0, limit=2) == written[:2]
    assert events.newest(2) == written[2:]
    assert events.newest(5, only=EventFilter(mac=MAC)) == (written[0], written[2])
    assert events.after(written[-1].id or 0) == ()


def test_prune_takes_whole_boots_only(events: EventRepository) -> None:
    events.append([event(K.DISCOVERED, 10, boot=-1), event(K.UP, 20, boot=-1), event(K.SERVER_STARTED, 5, mac=None)])
    long = events.append([event(K.DISCOVERED, 15, boot=-1), event(K.UP, 200, boot=-1)])
    assert events.prune(100) == 3
    assert events.after(0) == long
    assert [boot.id for boot in events.boots()] == [long[0].boot]
    assert events.prune(100) == 0


def test_ids_are_never_given_twice(events: EventRepository) -> None:
    last = events.append([event(K.SERVER_STOPPED, 1, mac=None)])[0]
    events.prune(1000)
    assert (events.append([event(K.SERVER_STARTED, 2, mac=None)])[0].id or 0) > (last.id or 0)


def test_event_of_a_pruned_boot_is_refused_and_nothing_of_its_batch_is_written(events: EventRepository) -> None:
    gone = events.append([event(K.DISCOVERED, 1, boot=-1)])[0].boot
    events.prune(1000)
    with pytest.raises(IntegrityError):
        events.append([event(K.SERVER_STARTED, 2, mac=None), event(K.UP, 3, boot=gone)])
    assert events.after(0) == ()
