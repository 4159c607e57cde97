"""One attempt of firmware to boot, as its packets show it: whether the strategy of our offer worked.

Pure: sightings of one machine are folded into an `Attempt`, which gives a `Finding` when it shows something.  What has
another cause than the strategy shows nothing: that nobody lends an address, so that firmware repeats its DISCOVER;
that another server's offer won; that port 4011 was answered and the file then not fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from netboot.config import DhcpMode
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware, Stage
from netboot.model.strategy import Fingerprint, Strategy

# PXE 2.1 has firmware ask after 0, 4, 12 and 28 s, and so do EDK2 and BIOS ROMs: the third time after 12 s.
_OFFERS, _OFFERS_SPAN_S = 3, 8.0
# Port 4011 is asked and the loader fetched as soon as the address is there.
_NEXT_STEP_S = 30.0
# Firmware that asks for an address anew so soon may have missed the other server's ACK; the second time it has not.
_SOON_S = 10.0
# EDK2 asks port 4011 four times, after 1, 2, 3 and 4 s, when it cannot use the answer (rule 2.37).
_ASKED = 3
# A machine's attempt is over after this; a later loader is another story.
_LONGEST_S = 300.0


class Sight(Enum):
    """What was seen of a machine."""

    OFFERED = auto()  # it asked, and we told it what to boot
    TAKEN = auto()  # it took an address of ours
    TAKEN_ELSEWHERE = auto()  # it took another server's, as it must beside a ProxyDHCP
    ASKED = auto()  # it asked port 4011
    FETCHED = auto()  # it asked for a loader's file, or a loader speaks already
    ADDRESS_ELSEWHERE = auto()  # another server offered it an address
    MOVED_ON = auto()  # it gave PXE up and tries HTTP
    DISTURBED = auto()  # what comes is not our offer's fault: another server's boot file, a NAK, a DECLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What we offered: by which strategy, and to firmware of what make."""

    mode: DhcpMode
    fingerprint: Fingerprint
    strategy: Strategy


class Sighting(NamedTuple):
    sight: Sight
    mac: MacAddress
    at: float
    offer: Offer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Whether `offer` worked for `mac`, and what showed it, in words."""

    mac: MacAddress
    offer: Offer
    worked: bool
    reason: str


class Attempt(NamedTuple):
    """How far one machine came since it was first offered `offer`; `judged` once that was held against it.

    `paired` is the number of our offers when another server was first seen to offer it an address.
    """

    mac: MacAddress
    offer: Offer
    begun_at: float
    offers: int = 1
    paired: int | None = None
    takes: int = 0
    taken_at: float | None = None
    asked: int = 0
    judged: bool = False


def sighting_of(event: Event) -> Sighting | None:
    """What an event tells of a machine's firmware; None for most events."""
    read = _READERS.get(event.kind)
    if event.mac is None or read is None or (sight := read(event)) is None:
        return None
    offer = _offer_of(event) if sight is Sight.OFFERED else None
    return Sighting(sight=sight, mac=event.mac, at=event.at, offer=offer)


def _discovered(event: Event) -> Sight | None:
    said = event.details
    if said.get("stage") == Stage.LOADER or said.get("firmware") == Firmware.IPXE:
        return Sight.FETCHED
    return Sight.MOVED_ON if said.get("firmware") == Firmware.UEFI_HTTP else None


def _acked(event: Event) -> Sight | None:
    if event.details.get("stage") != Stage.FIRMWARE:
        return None
    return Sight.ASKED if "port" in event.details else Sight.TAKEN


# What each kind of event is a sighting of; in the order of a boot.
_READERS: Mapping[EventKind, Callable[[Event], Sight | None]] = {
    EventKind.DISCOVERED: _discovered,
    EventKind.OFFERED: lambda event: Sight.OFFERED if "fingerprint" in event.details else None,
    EventKind.REQUESTED: lambda _: Sight.TAKEN_ELSEWHERE,
    EventKind.ACKED: _acked,
    EventKind.ADDRESS_OFFERED: lambda _: Sight.ADDRESS_ELSEWHERE,
    EventKind.FOREIGN_BOOT_SERVER: lambda _: Sight.DISTURBED,
    EventKind.FOREIGN_DHCP_SERVER: lambda _: Sight.DISTURBED,
    EventKind.REFUSED: lambda _: Sight.DISTURBED,
    EventKind.DECLINED: lambda _: Sight.DISTURBED,
    EventKind.LOADER_SENT: lambda _: Sight.FETCHED,
    EventKind.TRANSFER_FAILED: lambda _: Sight.FETCHED,
    EventKind.SCRIPT_SENT: lambda _: Sight.FETCHED,
}

SHOWN_BY = frozenset(_READERS)
"""The kinds of events that show anything at all."""


def follow(attempt: Attempt | None, seen: Sighting) -> tuple[Attempt | None, Finding | None]:
    """The attempt after one more sighting, None when there is none any more, and what that shows."""
    if attempt is not None and seen.at - attempt.begun_at > _LONGEST_S:
        attempt = None
    if seen.sight is Sight.OFFERED:
        return _offered(attempt, seen)
    if attempt is None or seen.sight is Sight.DISTURBED:
        return None, None
    match seen.sight:
        case Sight.FETCHED:
            return None, _finding(attempt, worked=True, reason="it fetched its loader")
        case Sight.ADDRESS_ELSEWHERE:
            return (attempt if attempt.paired else attempt._replace(paired=attempt.offers)), None
        case Sight.TAKEN | Sight.TAKEN_ELSEWHERE:
            return _taken(attempt, seen), None
        case Sight.ASKED:
            asked = attempt._replace(asked=attempt.asked + 1)
            return _judged(asked, "it asked port 4011 again and again" if asked.asked >= _ASKED else "")
        case Sight.MOVED_ON:
            gone = attempt.taken_at is not None and seen.at - attempt.taken_at >= _SOON_S
            return None, _judged(attempt, _silence(attempt) if gone else "")[1]


def overdue(attempt: Attempt, now: float, *, patience: float = 1.0) -> tuple[Attempt | None, Finding | None]:
    """The same for time that has passed without a word of the machine."""
    if now - attempt.begun_at > _LONGEST_S * max(1.0, patience):
        return None, None
    if attempt.taken_at is None or now - attempt.taken_at < _NEXT_STEP_S * patience:
        return attempt, None
    return _judged(attempt, _silence(attempt))


def _offered(attempt: Attempt | None, seen: Sighting) -> tuple[Attempt | None, Finding | None]:
    """Firmware asks, for the first time or again."""
    if seen.offer is None:
        return attempt, None
    fresh = Attempt(mac=seen.mac, offer=seen.offer, begun_at=seen.at)
    if attempt is None or attempt.judged or attempt.offer != seen.offer:
        return fresh, None
    if attempt.taken_at is not None:
        if seen.at - attempt.taken_at < _SOON_S and attempt.takes < 2:
            return fresh._replace(takes=attempt.takes), None
        return fresh, _judged(attempt, _silence(attempt))[1]
    again = attempt._replace(offers=attempt.offers + 1)
    if again.offers < _OFFERS or seen.at - again.begun_at < _OFFERS_SPAN_S:
        return again, None
    if seen.offer.mode is DhcpMode.PROXY and (again.paired is None or again.offers - again.paired < _OFFERS - 1):
        return again, None  # nobody lends it an address, or not until just now: no strategy would change that
    return _judged(again, f"it asked {again.offers} times over and took no offer")


def _taken(attempt: Attempt, seen: Sighting) -> Attempt | None:
    """It has an address now.  Another server's, where the addresses are ours to lend, ends what we can tell."""
    if seen.sight is Sight.TAKEN_ELSEWHERE and attempt.offer.mode is DhcpMode.OWN:
        return None
    if attempt.taken_at is not None:
        return attempt
    return attempt._replace(takes=attempt.takes + 1, taken_at=seen.at)


def _silence(attempt: Attempt) -> str:
    """What a machine that has its address left undone; empty where that proves nothing against the strategy."""
    if attempt.asked:
        return ""  # port 4011 named the file: what keeps it from being fetched is not how it was told
    if attempt.offer.strategy in (Strategy.INVITE, Strategy.DISCOVERY):
        return "it took its address but never asked port 4011"
    return "it took its address but fetched no loader"


def _judged(attempt: Attempt, reason: str) -> tuple[Attempt | None, Finding | None]:
    """Hold a failure against the strategy, once.  The attempt goes on: a slow machine may prove us wrong."""
    if attempt.judged or not reason:
        return attempt, None
    return attempt._replace(judged=True), _finding(attempt, worked=False, reason=reason)


def _finding(attempt: Attempt, *, worked: bool, reason: str) -> Finding:
    return Finding(mac=attempt.mac, offer=attempt.offer, worked=worked, reason=reason)


def _offer_of(event: Event) -> Offer | None:
    """Our offer to firmware that there are several ways for, unless an admin chose the way."""
    said = event.details
    if "fingerprint" not in said or "pinned" in said:
        return None
    mode = DhcpMode.OWN if "address" in said else DhcpMode.PROXY
    return _offer(mode, str(said["fingerprint"]), str(said["strategy"]))


@lru_cache(maxsize=256)
def _offer(mode: DhcpMode, fingerprint: str, strategy: str) -> Offer:
    """Machines of one make are offered the same."""
    return Offer(mode=mode, fingerprint=Fingerprint.parse(fingerprint), strategy=Strategy(strategy))
