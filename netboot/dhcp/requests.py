"""REQUEST, in the four states of a client that it can tell of (RFC 2131 section 4.3.2).

A running machine keeps its address: a diskless system loses its root with it.  So a live lease is renewed even
after its reservation moved (the new address comes with the next boot), and a lease that we lost is made anew
where the address is free.  For the same reason a REQUEST for an offer that we forgot, by a restart, is granted.
"""

from __future__ import annotations

from enum import Enum, auto

from netboot.config import Subnet
from netboot.dhcp import bootinfo
from netboot.dhcp import options as opt
from netboot.dhcp.allocate import current_address, refusal
from netboot.dhcp.decision import Decision, Query, Silence
from netboot.dhcp.destination import EVERYONE
from netboot.dhcp.grant import ack, claim_of, drop_hold, nak


class Asking(Enum):
    SELECTING = auto()
    REBOOTING = auto()
    RENEWING = auto()
    REBINDING = auto()


def answer_request(query: Query, subnet: Subnet) -> Decision:
    match _asking(query):
        case Asking.SELECTING:
            return _selecting(query, subnet)
        case Asking.REBOOTING:
            return _rebooting(query, subnet)
        case Asking.RENEWING | Asking.REBINDING as state:
            return _extending(query, subnet, state)
        case None:
            return Silence(reason="the REQUEST names no address")


def _selecting(query: Query, subnet: Subnet) -> Decision:
    """The client took an offer.  It need not be one that we remember: we may have been restarted since."""
    claim = claim_of(query, subnet)
    wanted = opt.REQUESTED_ADDRESS.read(query.message.options)
    if not query.names_us:
        events = bootinfo.requested_events(query)
        return Silence(reason="the client took another server's offer", leases=drop_hold(claim), events=events)
    if wanted is None:
        return Silence(reason="the REQUEST names no address")
    if why_not := refusal(claim, wanted):
        return nak(query, why_not)
    return ack(query, claim, wanted)


def _rebooting(query: Query, subnet: Subnet) -> Decision:
    """INIT-REBOOT: the client believes to have an address from before."""
    claim = claim_of(query, subnet)
    wanted = opt.REQUESTED_ADDRESS.read(query.message.options)
    if wanted is None:
        return Silence(reason="the REQUEST names no address")
    if wanted not in subnet.network:
        return nak(query, f"{wanted} is not within {subnet.network}")
    current = current_address(claim)
    if current is None and not query.policy.authoritative:
        return Silence(reason=f"{wanted} may be another server's")
    if current is not None and current != wanted:
        return nak(query, f"this client has {current}, not {wanted}")
    if why_not := None if current == wanted else refusal(claim, wanted):
        return nak(query, why_not)
    return ack(query, claim, wanted)


def _extending(query: Query, subnet: Subnet, state: Asking) -> Decision:
    """RENEWING and REBINDING: the client runs on `ciaddr` and wants to go on."""
    claim = claim_of(query, subnet)
    address = query.message.ciaddr
    if address == current_address(claim):
        return ack(query, claim, address)
    why_not = refusal(claim, address)
    if query.policy.authoritative and why_not is None:
        return ack(query, claim, address)
    # A unicast renewal may come through routers from a network that is not ours to judge.
    certain = query.policy.authoritative and (state is Asking.REBINDING or address in subnet.network)
    return nak(query, why_not) if certain and why_not else Silence(reason=f"{address} may be another server's")


def _asking(query: Query) -> Asking | None:
    """The state, by which of option 54, option 50 and ciaddr are there; None when no address is named."""
    message = query.message
    if opt.SERVER_ID.code in message.options:
        return Asking.SELECTING
    if int(message.ciaddr):  # with option 50 as well it is a client's bug, and ciaddr is what it runs on
        # A relay passes on what was broadcast; what a client sends to us alone comes past it.
        everyone = query.arrival.destination == EVERYONE or int(message.giaddr)
        return Asking.REBINDING if everyone else Asking.RENEWING
    return Asking.REBOOTING if opt.REQUESTED_ADDRESS.code in message.options else None
