"""Which version a client runs, as far as the events of its boots tell."""

from __future__ import annotations

from collections.abc import Iterable

from netboot.model.boot import Boot
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress

# Steps that say which version went to the client.
TELLING = frozenset({EventKind.SCRIPT_SENT, EventKind.KERNEL_SENT, EventKind.INITRD_SENT})


def version_booted(boot: Boot) -> str | None:
    """The label of the version that a boot was last sent, None while it was sent none."""
    return next((label for event in reversed(boot.events) if (label := _label(event))), None)


def versions_running(events: Iterable[Event]) -> dict[MacAddress, str]:
    """The version that each machine may be running: the last one that it was sent, by events from the oldest on.

    What came since does not count if it was sent nothing: a running system may ask for an address anew, and a machine
    that is denied one boot may not have been switched off for it.
    """
    running = {}
    for event in events:
        if event.mac is not None and (label := _label(event)):
            running[event.mac] = label
    return running


def _label(event: Event) -> str | None:
    label = event.details.get("version") if event.kind in TELLING else None
    return label if isinstance(label, str) else None
