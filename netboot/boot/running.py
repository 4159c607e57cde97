"""What a client runs, as far as the events of its boots tell: a version, or a disk with a loader of its own."""

from __future__ import annotations

from collections.abc import Iterable

from netboot.model.boot import Boot
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress

# Steps that say what went to the client.
TELLING = frozenset({EventKind.SCRIPT_SENT, EventKind.KERNEL_SENT, EventKind.INITRD_SENT})


def system_booted(boot: Boot) -> str | None:
    """What a boot was last sent: a version's label, or a disk's URI; None while it was sent neither."""
    return next((said for event in reversed(boot.events) if (said := _label(event) or _san(event))), None)


def versions_running(events: Iterable[Event]) -> dict[MacAddress, str]:
    """The version that each machine may be running: the last one that it was sent, by events from the oldest on.

    What came since does not count if it was sent nothing: a running system may ask for an address anew, and a machine
    that is denied one boot may not have been switched off for it.  One that was sent to a disk runs no version.
    """
    running: dict[MacAddress, str] = {}
    for event in events:
        if event.mac is None:
            continue
        if label := _label(event):
            running[event.mac] = label
        elif _san(event):
            running.pop(event.mac, None)
    return running


def _label(event: Event) -> str | None:
    return _said(event, "version")


def _san(event: Event) -> str | None:
    return _said(event, "san")


def _said(event: Event, key: str) -> str | None:
    said = event.details.get(key) if event.kind in TELLING else None
    return said if isinstance(said, str) else None
