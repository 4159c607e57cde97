"""Whatever invented machines do, a make that real machines boot by stays as it is, and nothing grows without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netboot.boot.attempts import Attempt, Finding, Offer, Sight, Sighting, follow, overdue
from netboot.boot.learning import blank, learn
from netboot.boot.strategies import order
from netboot.config import DhcpMode
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Lesson
from tests.dhcp_kit import macs

REAL = macs(3)
INVENTED = [MacAddress(b"\x02\x99\x00" + number.to_bytes(3, "big")) for number in range(40)]
# What anybody can have happen to a MAC address of their choice; a loader that is fetched is no harm.
HARM = [each for each in Sight if each is not Sight.FETCHED]

modes = st.sampled_from((DhcpMode.OWN, DhcpMode.PROXY))
families = st.sampled_from((Firmware.BIOS, Firmware.UEFI, Firmware.RASPBERRY_PI))
steps = st.tuples(st.sampled_from(INVENTED), st.sampled_from(HARM), st.floats(0, 200))


class Make:
    """One make, its machines' attempts, and what is thought of it; as the learner keeps it, without its thread."""

    def __init__(self, mode: DhcpMode, firmware: Firmware) -> None:
        self.mode, self.fingerprint = mode, Fingerprint(firmware, 0, "52:54:01", "PXEClient")
        self.tried = order(mode, self.fingerprint)
        self.lesson: Lesson = blank(self.tried, 0)
        self.attempts: dict[MacAddress, Attempt] = {}
        self.now = 0.0

    def see(self, mac: MacAddress, sight: Sight) -> None:
        offer = Offer(mode=self.mode, fingerprint=self.fingerprint, strategy=self.lesson.strategy)
        sighting = Sighting(sight=sight, mac=mac, at=self.now, offer=offer if sight is Sight.OFFERED else None)
        self._take(mac, *follow(self.attempts.get(mac), sighting))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for mac, attempt in list(self.attempts.items()):
            self._take(mac, *overdue(attempt, self.now))

    def boot(self, mac: MacAddress) -> None:
        for sight in (Sight.OFFERED, Sight.TAKEN, Sight.FETCHED):
            self.see(mac, sight)
            self.wait(2)

    def _take(self, mac: MacAddress, attempt: Attempt | None, found: Finding | None) -> None:
        self.attempts.pop(mac, None)
        if attempt is not None:
            self.attempts[mac] = attempt
        if found is not None:
            named = mac in REAL
            self.lesson = learn(self.lesson, self.tried, found, is_named=named, now=self.now)


@given(modes, families, st.lists(steps, max_size=200), st.integers(1, 3))
def test_invented_machines_do_not_talk_us_out_of_what_real_ones_boot_by(
    mode: DhcpMode, firmware: Firmware, flood: list[tuple[MacAddress, Sight, float]], proofs: int
) -> None:
    make = Make(mode, firmware)
    for mac in REAL[:proofs]:
        make.boot(mac)
    proven = make.lesson.strategy
    for mac, sight, pause in flood:
        make.see(mac, sight)
        make.wait(pause)
        assert make.lesson.strategy is proven
    assert len(make.lesson.failing) <= 16
    assert make.lesson.proofs == tuple(REAL[:proofs])


@given(modes, families, st.lists(st.tuples(st.sampled_from(HARM), st.floats(0, 100)), max_size=12))
def test_machines_that_are_never_seen_again_teach_nothing(
    mode: DhcpMode, firmware: Firmware, story: list[tuple[Sight, float]]
) -> None:
    """Even of a make that nobody has booted yet: each of many invented machines has one attempt, whatever it does."""
    make = Make(mode, firmware)
    for mac in INVENTED:
        for sight, pause in story:
            if sight is Sight.OFFERED and mac in make.attempts and make.attempts[mac].judged:
                break  # from here on it would be a second attempt
            make.see(mac, sight)
            make.wait(pause)
        make.attempts.pop(mac, None)
    assert make.lesson.strategy is make.tried[0]


@given(modes, families, st.integers(0, 5))
def test_a_machine_that_boots_by_one_strategy_alone_gets_there(mode: DhcpMode, firmware: Firmware, which: int) -> None:
    make = Make(mode, firmware)
    taken_by = make.tried[which % len(make.tried)]
    for _ in range(len(make.tried)):
        make.see(REAL[0], Sight.OFFERED)
        if make.lesson.strategy is taken_by:
            make.boot(REAL[0])
            break
        make.see(REAL[0], Sight.TAKEN if mode is DhcpMode.OWN else Sight.TAKEN_ELSEWHERE)
        make.wait(60)
    assert make.lesson.strategy is taken_by
    assert make.lesson.proofs == (REAL[0],)
