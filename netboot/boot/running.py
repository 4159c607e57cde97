"""Which version a client runs, as far as the events of its boots tell."""

from __future__ import annotations

from collections.abc import Iterable

from netboot.model.boot import Boot
from netboot.model.event import EventKind

# Steps that say which version went to the client.
_TELLING = frozenset({EventKind.SCRIPT_SENT, EventKind.KERNEL_SENT, EventKind.INITRD_SENT})


def version_booted(boot: Boot) -> str | None:
    """The label of the version that a boot was last sent, None while it was sent none."""
    for event in reversed(boot.events):
        if event.kind in _TELLING and isinstance(label := event.details.get("version"), str):
            return label
    return None


def version_running(boots: Iterable[Boot]) -> str | None:
    """The version that a client may be running, of its last boots, newest first.

    A boot that was sent nothing does not count: a running system may ask for an address anew, and a machine that is
    denied one boot may not have been switched off for it.
    """
    return next((label for boot in boots if (label := version_booted(boot))), None)
