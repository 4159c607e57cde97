"""Whatever is recorded comes back in order, and every boot is one client's."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.boot.progress import begins_boot
from netboot.model.event import Event, EventKind
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.store import EventRecorder, EventRepository, LeaseRepository, open_database

MACS = [MacAddress.parse(f"52:54:00:00:00:0{digit}") for digit in range(1, 4)]
details = st.dictionaries(
    st.text(max_size=8),
    st.text(max_size=20) | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False),
    max_size=4,
)
events = st.builds(
    Event,
    at=st.floats(0, 4e9),
    kind=st.sampled_from(EventKind),
    mac=st.none() | st.sampled_from(MACS),
    details=details,
    boot=st.none(),  # these are the store's to give
    id=st.none(),
)
leases = st.builds(
    Lease,
    address=st.ip_addresses(v=4, network="10.0.0.0/29"),
    mac=st.sampled_from(MACS),
    state=st.sampled_from(LeaseState),
    expires_at=st.floats(0, 4e9),
    client_id=st.none() | st.binary(max_size=20),
    hostname=st.none() | st.text(max_size=10),
)


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(events, max_size=12), max_size=4))
def test_recorded_events_come_back_in_order_and_in_boots(batches: list[list[Event]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(Path(folder), synchronous="NORMAL")
        repository = EventRepository(engine)
        # A recorder a batch: a daemon that was restarted goes on with the same boots.
        for batch in batches:
            with EventRecorder(repository, begins_boot) as recorder:
                for event in batch:
                    recorder.record(event)
        told = [event for batch in batches for event in batch]
        written = repository.after(0, limit=len(told) + 1)
        boots = repository.boots(limit=len(told) + 1)
        engine.dispose()
    assert [(each.at, each.kind, each.mac, dict(each.details)) for each in written] == [
        (each.at, each.kind, each.mac, dict(each.details)) for each in told
    ]
    assert all(one.id is not None and two.id is not None and one.id < two.id for one, two in pairwise(written))
    assert sorted(event.id or 0 for boot in boots for event in boot.events) == [
        event.id for event in written if event.mac is not None
    ]
    for boot in boots:
        assert {event.mac for event in boot.events} == {boot.mac}
        # Cut where the rule cuts, and nowhere else.
        for index in range(1, len(boot.events)):
            assert not begins_boot(boot.events[:index], boot.events[index])


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(leases, max_size=8), max_size=5))
def test_leases_are_those_last_committed(batches: list[list[Lease]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(Path(folder), synchronous="NORMAL")
        repository = LeaseRepository(engine)
        for batch in batches:
            repository.commit(batch)
        loaded = repository.load()
        engine.dispose()
    expected = {lease.address: lease for batch in batches for lease in batch if lease.state is not LeaseState.OFFERED}
    assert loaded == tuple(expected[address] for address in sorted(expected))


@settings(max_examples=25, deadline=None)
@given(batch=st.lists(events, max_size=20), older_than=st.floats(0, 4e9))
def test_pruning_leaves_no_half_boots(batch: list[Event], older_than: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(Path(folder), synchronous="NORMAL")
        repository = EventRepository(engine)
        with EventRecorder(repository, begins_boot) as recorder:
            for event in batch:
                recorder.record(event)
        before = repository.boots(limit=100)
        went = repository.prune(older_than)
        left = repository.after(0)
        after = repository.boots(limit=100)
        engine.dispose()
    assert went + len(left) == len(batch)
    assert after == tuple(boot for boot in before if any(event.at >= older_than for event in boot.events))
    assert all(event.at >= older_than for event in left if event.boot is None)
