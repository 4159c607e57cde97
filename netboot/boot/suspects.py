"""Whom a boot that stalled before its loader came points at, from what else was seen of it.

The step that is missing has a usual cause (`netboot.boot.progress`); here stand the causes that leave traces of their
own: another server's offer, an address that nobody lent, firmware that wants no plain HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netboot.model.event import Event, EventKind
from netboot.model.request import Firmware

K = EventKind


@dataclass(frozen=True, slots=True)
class Suspect:
    """The likely cause, and what would help."""

    cause: str
    hint: str


def suspect(events: Sequence[Event], reached: EventKind | None) -> Suspect | None:
    """The first that the events of a boot speak for; None leaves it at the usual cause."""
    if reached not in (None, K.DISCOVERED, K.OFFERED, K.ACKED):
        return None
    return next((found for ask in _SUSPECTS if (found := ask(events, reached))), None)


def _foreign_boot_server(events: Sequence[Event], _: EventKind | None) -> Suspect | None:
    seen = _last(events, K.FOREIGN_BOOT_SERVER)
    if seen is None:
        return None
    server, sent = seen.details.get("server"), seen.details.get("sent")
    return Suspect(
        f"another server, {server}, told the client what to boot as well: {sent}; it probably went there",
        f"take boot information out of {server} (options 43, 60, 66 and 67, next-server and file name)",
    )


def _rival(events: Sequence[Event], reached: EventKind | None) -> Suspect | None:
    offered, took = _last(events, K.OFFERED), _last(events, K.REQUESTED) or _last(events, K.FOREIGN_DHCP_SERVER)
    if offered is None or took is None or "address" not in offered.details or reached is K.ACKED:
        return None
    server = took.details.get("server")
    return Suspect(
        f"another DHCP server, {server}, lends addresses here too, and the client took that one's",
        f'switch {server} off, or leave the addresses to it: dhcp = "proxy" in [[interface]]',
    )


def _plain_http(events: Sequence[Event], reached: EventKind | None) -> Suspect | None:
    """Rule 2.43: builds with PcdAllowHttpConnections off, and vendors' settings that want TLS."""
    asked = _last(events, K.DISCOVERED)
    took = reached is K.ACKED or _last(events, K.REQUESTED) is not None
    if asked is None or asked.details.get("firmware") != Firmware.UEFI_HTTP or not took:
        return None
    return Suspect(
        "the firmware took its address and an http:// URL but never fetched it: much firmware refuses plain HTTP and"
        " wants TLS, or the port is not open to it",
        "allow plain HTTP in the firmware's setup, or boot it by PXE; check that the HTTP port of this server is open",
    )


def _no_lender(events: Sequence[Event], reached: EventKind | None) -> Suspect | None:
    """In proxy mode the address is another's to lend."""
    offered = _last(events, K.OFFERED)
    if reached is not K.OFFERED or offered is None or "address" in offered.details:
        return None
    if any(each.kind in (K.ADDRESS_OFFERED, K.REQUESTED) for each in events):
        return None
    return Suspect(
        "the client had our boot information, but no DHCP server was seen to lend it an address",
        'check that the site\'s DHCP server runs and has addresses left, or lend them here: dhcp = "own"',
    )


def _untaken(events: Sequence[Event], reached: EventKind | None) -> Suspect | None:
    """It had all that it needs, and went no further: the way it was told may not suit it.

    Where the addresses are ours this needs more of a sign, for a reply that never reached it looks the same.
    """
    offered = _last(events, K.OFFERED)
    if reached not in (K.OFFERED, K.ACKED) or offered is None or "strategy" not in offered.details:
        return None
    if (reached is K.ACKED or "address" in offered.details) and _last(events, K.STRATEGY_CHANGED) is None:
        return None
    way = offered.details["strategy"]
    return Suspect(
        f"the firmware did nothing with what it was told to boot, in the way called {way}",
        "switch it on again: after a failure such firmware is told another way; netboot client show NAME says which",
    )


_SUSPECTS: tuple[Callable[[Sequence[Event], EventKind | None], Suspect | None], ...] = (
    _foreign_boot_server,
    _rival,
    _plain_http,
    _no_lender,
    _untaken,
)


def _last(events: Sequence[Event], kind: EventKind) -> Event | None:
    return next((each for each in reversed(events) if each.kind is kind), None)
