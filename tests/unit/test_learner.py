"""The learner over a real database: what was learnt survives it, and what clients invent leaves no mark."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.boot.attempts import Offer, Sight, Sighting
from netboot.config import DhcpMode
from netboot.daemon import learner as module
from netboot.daemon.learner import Learner
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Strategy
from netboot.store import Engine, StrategyRepository, open_database
from tests.dhcp_kit import BIOS, LAB, ask, discover, macs, make_policy
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import wait_for

OWN = DhcpMode.OWN
MAKE = Fingerprint(Firmware.BIOS, 0, "52:54:00", "PXEClient:Arch:00000:UNDI:002001")


class Room:
    """A learner whose clock the test sets, and the events that it told."""

    def __init__(self, engine: Engine, named: frozenset[MacAddress] = frozenset({LAB.mac})) -> None:
        self.engine = engine
        self.now = 1000.0
        self.told: list[Event] = []
        self._named = named
        self.learner = self._start()

    def _start(self) -> Learner:
        return Learner(
            StrategyRepository(self.engine),
            is_named=self._named.__contains__,
            record=self.told.append,
            clock=lambda: self.now,
        )

    def restart(self) -> None:
        self.learner.close()
        self.learner = self._start()

    def strategy(self) -> Strategy | None:
        return self.learner.strategies.get((OWN, MAKE))

    def kinds(self) -> list[str]:
        return [each.kind.value for each in self.told]

    def boots(self, mac: MacAddress = LAB.mac, *, works: bool) -> None:
        """One attempt of a BIOS by the strategy of the moment: address taken, loader fetched or not."""
        strategies = self.learner.strategies
        decision = ask(discover(BIOS, mac=mac), make_policy(LAB, unknown="image:debian", strategies=strategies))
        for event in decision.events:
            self.learner.tell(Event(at=self.now, kind=event.kind, mac=mac, details=event.details))
        self.learner.tell(Event(at=self.now + 4, kind=EventKind.ACKED, mac=mac, details={"stage": "firmware"}))
        if works:
            self.learner.fetched(mac)
        wait_for(lambda: works or self.learner.awaits(), "attempt")
        self.now += 60

    def settle(self, kind: str, times: int = 1) -> None:
        wait_for(lambda: self.kinds().count(kind) >= times, kind)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(open_database(tmp_path))
    yield room
    room.learner.close()


def test_one_machine_teaches_its_make_and_it_is_remembered(room: Room) -> None:
    room.boots(works=False)
    room.settle("strategy-changed")
    assert room.strategy() is Strategy.DISCOVERY
    assert room.told[0].details == {
        "before": "direct",
        "strategy": "discovery",
        "mode": "own",
        "fingerprint": str(MAKE),
        "reason": "direct failed: it took its address but fetched no loader",
    }
    room.restart()
    assert room.strategy() is Strategy.DISCOVERY
    room.boots(works=True)
    room.settle("strategy-proven")
    room.restart()
    lesson = StrategyRepository(room.engine).find(OWN, MAKE)
    assert lesson is not None
    assert (lesson.strategy, lesson.proofs) == (Strategy.DISCOVERY, (LAB.mac,))
    room.boots(OTHER_MAC, works=False)
    room.boots(OTHER_MAC, works=False)
    room.restart()
    assert (room.strategy(), room.kinds()) == (Strategy.DISCOVERY, ["strategy-changed", "strategy-proven"])


def test_what_works_is_told_once_and_written_seldom(room: Room) -> None:
    room.boots(works=True)
    room.settle("strategy-proven")
    room.restart()
    first = StrategyRepository(room.engine).find(OWN, MAKE)
    room.boots(works=True)
    room.restart()
    assert StrategyRepository(room.engine).find(OWN, MAKE) == first
    room.now += 2 * 86400
    room.boots(works=True)
    room.restart()
    latest = StrategyRepository(room.engine).find(OWN, MAKE)
    assert first is not None
    assert latest is not None
    assert (latest.worked_at or 0) > (first.worked_at or 0)
    assert room.kinds() == ["strategy-proven"]


def test_what_cannot_be_written_holds_and_is_written_later(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from netboot.errors import Unavailable

    broken = threading.Event()
    real = StrategyRepository.replace

    def replace(self: StrategyRepository, *args: object) -> None:
        if not broken.is_set():
            broken.set()
            raise Unavailable("the disk is full")
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(StrategyRepository, "replace", replace)
    room.boots(works=False)
    room.settle("strategy-changed")
    assert broken.wait(5)
    assert room.strategy() is Strategy.DISCOVERY
    room.boots(works=True)
    room.settle("strategy-proven")
    room.restart()
    assert room.strategy() is Strategy.DISCOVERY


def test_invented_machines_and_makes_are_forgotten(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of machines of invented makes, each of which even fetches a loader: the bound holds, also on disk."""
    monkeypatch.setattr(module, "LESSONS_MAX", 20)
    monkeypatch.setattr(module, "ATTEMPTS_MAX", 50)
    for number, mac in enumerate(macs(200)):
        make = Fingerprint(Firmware.BIOS, 0, "02:00:00", f"PXEClient:{number}")
        offer = Offer(mode=OWN, fingerprint=make, strategy=Strategy.DIRECT)
        room.learner.see(Sighting(sight=Sight.OFFERED, mac=mac, at=room.now, offer=offer))
        if number % 2:
            room.learner.see(Sighting(sight=Sight.FETCHED, mac=mac, at=room.now))
    room.restart()
    assert len(StrategyRepository(room.engine).load()) == len(room.learner.strategies) == 20


def test_nothing_is_learnt_where_success_cannot_be_seen(room: Room) -> None:
    deaf = Learner(
        StrategyRepository(room.engine),
        is_named=lambda _: True,
        record=room.told.append,
        sees_fetches=False,
        clock=lambda: room.now,
    )
    deaf.tell(ask(discover(BIOS), make_policy(LAB)).events[1])
    deaf.close()
    assert not deaf.awaits()
