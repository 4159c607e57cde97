"""How a client's firmware is told what to boot, and why so: for `netboot client show` and `explain`.

What make of firmware it is stands in the last offer that the daemon made to it; what that make taught stands in the
database.  The choice between them is made by the very function that the daemon asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from netboot.boot.learning import FIRST
from netboot.boot.strategies import choose_strategy
from netboot.config import DhcpMode
from netboot.model.client import Client
from netboot.model.event import EventKind
from netboot.model.mac import MacAddress
from netboot.model.strategy import Fingerprint, Lesson, Strategy
from netboot.store import Engine, EventRepository, StrategyRepository
from netboot.store.events import EventFilter

# Of one boot, the loader's offers come after the firmware's and name no make.
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTelling:
    """`strategy` is what its next offer follows, `lesson` what its make taught, None while that is nothing."""

    strategy: Strategy
    reason: str
    mode: DhcpMode
    fingerprint: Fingerprint
    lesson: Lesson | None


def telling_of(mac: MacAddress, client: Client | None, engine: Engine) -> ClientTelling | None:
    """None for a machine whose firmware we have made no offer to, or that there is one way alone for."""
    offers = EventFilter(mac=mac, kinds=frozenset({EventKind.OFFERED}))
    for event in reversed(EventRepository(engine).newest(_LOOKED_AT, only=offers)):
        if "fingerprint" not in event.details:
            continue
        mode = DhcpMode.OWN if "address" in event.details else DhcpMode.PROXY
        fingerprint = Fingerprint.parse(str(event.details["fingerprint"]))
        lesson = StrategyRepository(engine).find(mode, fingerprint)
        learned = {(mode, fingerprint): lesson.strategy} if lesson else {}
        return ClientTelling(
            strategy=choose_strategy(mode, fingerprint, client, learned),
            reason=_reason(client, lesson),
            mode=mode,
            fingerprint=fingerprint,
            lesson=lesson,
        )
    return None


def _reason(client: Client | None, lesson: Lesson | None) -> str:
    if client is not None and client.strategy is not None:
        return "an admin chose it for this client"
    if lesson is None:
        return f"{FIRST} for such firmware"
    booted = f"machines of its make booted by it: {len(lesson.proofs)}" if lesson.worked_at else "none booted by it yet"
    return f"{lesson.reason}; {booted}"
