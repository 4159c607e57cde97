"""Who may have what is a client's own, by the address that asks.  Pure.

An address is a client's when our lease says so, and the table of neighbours does not say otherwise; where another
server lends addresses, that table alone can tell.  It knows nobody behind a router.
"""

from __future__ import annotations

from dataclasses import dataclass

from netboot.model.mac import MacAddress

_UNKNOWN = "nobody knows whose address that is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """What is known of an address: whose lease it is, who has it on the wire, whose lease it was; None is nobody."""

    lease: MacAddress | None
    neighbour: MacAddress | None
    last: MacAddress | None = None


def refusal(mac: MacAddress, asker: Asker, *, is_booting: bool) -> str | None:
    """Why this asker may not have what is `mac`'s own, None when it may."""
    if asker.lease not in (None, mac):
        return f"the address is lent to {asker.lease}"
    if asker.neighbour not in (None, mac):
        return f"{asker.neighbour} is at the address"
    if is_unknown(asker):
        return _UNKNOWN
    if not is_booting:
        return "the client is not booting"
    return None


def is_unknown(asker: Asker) -> bool:
    """Whether nothing speaks for or against the asker: it may have what is no secret."""
    return asker.lease is None and asker.neighbour is None


def is_lost(mac: MacAddress, holder: Asker) -> bool:
    """Whether an address that was `mac`'s may be another's now, or any moment: then nothing of `mac`'s is given there.

    Silence alone is none: a client that is away for a while comes back and goes on.
    """
    if holder.lease not in (None, mac) or holder.neighbour not in (None, mac):
        return True
    return holder.lease is None and holder.last == mac and holder.neighbour is None
