"""What a machine's packets show of the strategy it was offered: tables of what was seen, and what that means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netboot.boot.attempts import Attempt, Finding, Offer, Sight, Sighting, follow, overdue, sighting_of
from netboot.config import DhcpMode
from netboot.dhcp.decision import Decision
from netboot.dhcp.message import MessageType
from netboot.model.event import Event, EventKind
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Strategy
from tests.dhcp_kit import BIOS, BOOT_PORT, IPXE, LAB, UEFI, UEFI_HTTP, ask, discover, make_policy, packet, selecting
from tests.kit import MAC

OWN, PROXY = DhcpMode.OWN, DhcpMode.PROXY
MAKE = Fingerprint(Firmware.UEFI, 7, "52:54:00", "PXEClient:Arch:00007:UNDI:003016")
Q, T, E, A, F, X, D, M = (
    Sight.OFFERED,
    Sight.TAKEN,
    Sight.TAKEN_ELSEWHERE,
    Sight.ASKED,
    Sight.FETCHED,
    Sight.ADDRESS_ELSEWHERE,
    Sight.DISTURBED,
    Sight.MOVED_ON,
)
Seen = list[tuple[float, Sight]]


def offer(mode: DhcpMode, strategy: Strategy = Strategy.DIRECT) -> Offer:
    return Offer(mode=mode, fingerprint=MAKE, strategy=strategy)


def fold(what: Offer, seen: Seen, *, then: float | None = None) -> tuple[Attempt | None, list[Finding]]:
    """All sightings in order; then time passes until `then`, looked at every second as the learner does."""
    attempt: Attempt | None = None
    found: list[Finding | None] = []
    for at, sight in seen:
        sighting = Sighting(sight=sight, mac=MAC, at=at, offer=what if sight is Q else None)
        attempt, finding = follow(attempt, sighting)
        found.append(finding)
    for second in range(int(seen[-1][0]), int(then or 0) + 1):
        if attempt is not None:
            attempt, finding = overdue(attempt, second)
            found.append(finding)
    return attempt, [each for each in found if each]


@pytest.mark.parametrize("mode", [OWN, PROXY])
@pytest.mark.parametrize(
    "seen",
    [
        [(0, Q), (4, T), (5, F)],
        [(0, Q), (4, E), (5, A), (6, F)],
        [(0, Q), (1, X), (4, Q), (6, F)],  # a Pi never sends a REQUEST (rule 1.23)
    ],
)
def test_a_loader_that_is_fetched_proves_the_strategy(mode: DhcpMode, seen: Seen) -> None:
    if mode is OWN and (4, E) in seen:
        seen = [(at, T if sight is E else sight) for at, sight in seen]
    attempt, found = fold(offer(mode), seen)
    assert attempt is None
    assert [each.worked for each in found] == [True]


# EDK2 asks after 0, 4, 12 and 28 s.  What it then shows, and whether that is the strategy's failure.
EDK2: Seen = [(0, Q), (4, Q), (12, Q), (28, Q)]


@pytest.mark.parametrize(
    ("mode", "seen", "why"),
    [
        # Nobody lends an address: all of its DISCOVERs come, and no strategy would have changed that.
        (PROXY, EDK2, None),
        # Another server offered one each time, so what it does not take is our offer.
        (PROXY, [(0, Q), (0, X), (4, Q), (4, X), (12, Q)], "asked 3 times over"),
        # The other server's offer crossed the third DISCOVER: it had not seen both yet.
        (PROXY, [(0, Q), (4, Q), (11, X), (12, Q)], None),
        # Where the addresses are ours, so is the fault.
        (OWN, EDK2, "asked 3 times over"),
        # Repeated within the seconds that a switch may lose a packet in: too soon to tell.
        (OWN, [(0, Q), (1, Q), (2, Q), (3, Q)], None),
        # Interest was lost: somebody pulled the plug, or chose another device.
        (OWN, [(0, Q)], None),
        (PROXY, [(0, Q), (0, X)], None),
        # It took its address, and then nothing.
        (OWN, [(0, Q), (4, T)], "fetched no loader"),
        (PROXY, [(0, Q), (4, E)], "fetched no loader"),
        # It came back before its time was over.
        (OWN, [(0, Q), (4, T), (20, Q)], "fetched no loader"),
        # It came back at once: the ACK may have been lost, but not twice.
        (PROXY, [(0, Q), (4, E), (9, Q), (13, A)], None),
        (PROXY, [(0, Q), (4, E), (9, Q), (13, E), (18, Q)], "fetched no loader"),
        # Where we lend the addresses, another server's that it took is a rival's doing.
        (OWN, [(0, Q), (4, E), (40, Q)], None),
        # A NAK or a DECLINE begins its DHCP anew, and so does another server's boot file.
        (OWN, [(0, Q), (2, D), (4, Q), (6, D), (8, Q), (10, D), (12, Q)], None),
        (PROXY, [(0, Q), (1, X), (1, D), (4, E)], None),
        # Port 4011 named the file: that it is not fetched is the fault of TFTP's port, or of a firewall.
        (PROXY, [(0, Q), (4, E), (5, A)], None),
        (PROXY, [(0, Q), (4, E), (5, A), (6, A)], None),
        # Asked over and over, it cannot use what it hears there.
        (PROXY, [(0, Q), (4, E), (5, A), (6, A), (8, A)], "port 4011 again and again"),
        # UEFI gives up PXE and goes on with HTTP; whose loader comes then is not PXE's merit.
        (PROXY, [(0, Q), (4, E), (16, M), (20, F)], "fetched no loader"),
        (PROXY, [(0, Q), (4, Q), (8, M), (20, F)], None),
    ],
)
def test_what_is_a_failure_and_what_is_not(mode: DhcpMode, seen: Seen, why: str | None) -> None:
    found = fold(offer(mode), seen, then=250)[1]
    assert all(not each.worked for each in found)
    assert [why in each.reason for each in found if why] == ([True] if why else [])
    assert bool(found) is (why is not None)


@pytest.mark.parametrize("strategy", [Strategy.INVITE, Strategy.DISCOVERY])
def test_silence_on_port_4011_is_a_failure_of_who_was_sent_there(strategy: Strategy) -> None:
    (found,) = fold(offer(PROXY, strategy), [(0, Q), (4, E)], then=40)[1]
    assert "never asked port 4011" in found.reason
    assert found.offer.strategy is strategy


def test_a_failure_counts_once_and_a_slow_loader_still_proves_the_strategy() -> None:
    attempt, found = fold(offer(OWN), [(0, Q), (4, T)], then=120)
    assert len(found) == 1
    assert attempt is not None
    _, late = follow(attempt, Sighting(sight=F, mac=MAC, at=130))
    assert late is not None
    assert late.worked


def test_patience_stretches_the_wait() -> None:
    attempt, _ = fold(offer(OWN), [(0, Q), (4, T)])
    assert attempt is not None
    assert overdue(attempt, 40, patience=2.0)[1] is None
    assert overdue(attempt, 65, patience=2.0)[1] is not None


def test_a_strategy_that_changes_in_between_is_not_blamed_for_the_one_before() -> None:
    attempt, _ = fold(offer(OWN), [(0, Q), (4, Q)])
    changed = Sighting(sight=Q, mac=MAC, at=12, offer=offer(OWN, Strategy.INVITE))
    attempt, found = follow(attempt, changed)
    assert found is None
    assert attempt is not None
    assert (attempt.offer.strategy, attempt.offers) == (Strategy.INVITE, 1)


def test_an_attempt_ends_with_time() -> None:
    attempt, _ = fold(offer(OWN), [(0, Q)])
    assert attempt is not None
    assert overdue(attempt, 301) == (None, None)
    assert follow(attempt, Sighting(sight=F, mac=MAC, at=301)) == (None, None)


def events(decision: Decision) -> list[Sighting]:
    return [seen for each in decision.events if (seen := sighting_of(each))]


def test_the_daemons_own_events_are_what_is_learnt_from() -> None:
    for mode, strategy in ((OWN, Strategy.DIRECT), (PROXY, Strategy.INVITE)):
        (offered,) = events(ask(discover(UEFI), make_policy(LAB, mode=mode)))
        assert offered.offer is not None
        assert (offered.offer.mode, offered.offer.strategy) == (mode, strategy)
        assert offered.offer.fingerprint.vendor_class == UEFI[60].decode()
        asked = packet(MessageType.REQUEST, UEFI, ciaddr=make_policy().server + 8)
        assert [each.sight for each in events(ask(asked, make_policy(LAB, mode=mode), by=BOOT_PORT))] == [A]
        elsewhere = selecting("10.9.0.9", UEFI, server=make_policy().server + 1)
        assert [each.sight for each in events(ask(elsewhere, make_policy(LAB, mode=mode)))] == [E]
    policy = make_policy(LAB)
    address = str(ask(discover(BIOS), policy).events[1].details["address"])
    assert [each.sight for each in events(ask(selecting(address, BIOS), policy))] == [T]
    assert [each.sight for each in events(ask(selecting("10.9.0.7", BIOS), policy))] == [D]
    assert F in [each.sight for each in events(ask(discover(IPXE), make_policy(LAB)))]
    assert M in [each.sight for each in events(ask(discover(UEFI_HTTP), make_policy(LAB)))]


def test_what_an_admin_pinned_teaches_nothing() -> None:
    policy = make_policy(replace(LAB, strategy=Strategy.PLAIN))
    (offered,) = events(ask(discover(BIOS), policy))
    assert offered.offer is None
    assert follow(None, offered) == (None, None)


@pytest.mark.parametrize(
    ("kind", "sight"), [(EventKind.LOADER_SENT, F), (EventKind.TRANSFER_FAILED, F), (EventKind.DECLINED, D)]
)
def test_other_events(kind: EventKind, sight: Sight) -> None:
    found = sighting_of(Event(at=1.0, kind=kind, mac=MAC))
    assert found is not None
    assert found.sight is sight
    assert sighting_of(Event(at=1.0, kind=kind)) is None
    assert sighting_of(Event(at=1.0, kind=EventKind.UP, mac=MAC)) is None
