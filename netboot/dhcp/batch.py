"""From packets to what is to be written and sent: the part of the edge that touches no socket.

A decision's leases enter the table at once, so that the next packet of the same batch sees them; whoever sends
waits until they are durable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from netboot.dhcp.answer import answer
from netboot.dhcp.decision import BOOT_PORT, Arrival, Reply
from netboot.dhcp.destination import EVERYONE, Destination, destination
from netboot.dhcp.frame import ArpSender
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.message import Message, Op, decode, encode
from netboot.dhcp.network import policy_for
from netboot.dhcp.own import QUARANTINE_S
from netboot.dhcp.packets import Outgoing, Packet
from netboot.dhcp.policy import Policies, Policy
from netboot.dhcp.stencils import Stencils
from netboot.model.event import Event, EventKind
from netboot.model.lease import Lease, LeaseState


@dataclass(slots=True)
class Batch:
    """What waits for `leases` to be durable: replies to send and events to tell.

    `strangers` are addresses by which relays named networks that are none of ours.  `overheard` are replies of other
    servers, that came by a relay, and who sent them.
    """

    leases: list[Lease] = field(default_factory=list)
    replies: list[Outgoing] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    strangers: list[IPv4Address] = field(default_factory=list)
    overheard: list[tuple[IPv4Address, Message]] = field(default_factory=list)


def take(
    packet: Packet, policies: Policies, ledger: Ledger, now: float, batch: Batch, stencils: Stencils | None = None
) -> tuple[Outgoing, ...]:
    """Answer one packet by the policy of its network, whose leases are in the `ledger`.

    Returns what may be sent at once; what must wait is added to `batch`.  Raises `DecodeError` for what is no
    DHCP message.  With `stencils`, which were refreshed with these policies, the answer is the same and comes sooner.
    """
    found = stencils.fill(packet, now) if stencils is not None else None
    leases, outgoing = found or _answered(packet, policies, now, batch, stencils)
    durable = ledger.enter(leases)
    batch.leases += durable
    if outgoing is None:
        return ()
    if not durable:
        return (outgoing,)
    batch.replies.append(outgoing)
    return ()


def _answered(
    packet: Packet, policies: Policies, now: float, batch: Batch, stencils: Stencils | None
) -> tuple[tuple[Lease, ...], Outgoing | None]:
    """The leases that change and what is to be sent; a stencil is cut of it for others of the kind."""
    request = decode(packet.payload)
    if request.op == Op.REPLY:
        batch.overheard.append((packet.arrival.source[0], request))
        return (), None
    policy = policy_for(request, packet.arrival, policies)
    if isinstance(policy, IPv4Address):
        batch.strangers.append(policy)
        return (), None
    decision = answer(request, packet.arrival, policy, now)
    if not isinstance(decision, Reply):
        batch.events += decision.events
        return decision.leases, None
    outgoing = Outgoing(
        payload=encode(decision.message),
        to=_straight(destination(request, decision.message, packet.arrival), packet.arrival, request, policy),
        source=_source(packet.arrival, policy),
        port=packet.arrival.port,
        events=decision.events,
        probe=decision.probe if not int(request.giaddr) else None,
        delay_s=decision.delay_s,
    )
    if stencils is not None:
        stencils.cut(packet, request, policy, decision, outgoing)
    return decision.leases, outgoing


def take_arp(claim: ArpSender, ledger: Ledger, now: float, batch: Batch) -> None:
    """Somebody uses an address that is on offer to another: quarantine it, so that the REQUEST is refused."""
    held = ledger.hold_at(claim.address)
    if held is None or not held.holds(now) or held.mac.octets == claim.hardware:
        return
    taken = Lease(address=claim.address, mac=held.mac, state=LeaseState.DECLINED, expires_at=now + QUARANTINE_S)
    batch.leases += ledger.enter((taken,))
    details = {"address": str(claim.address), "used_by": claim.hardware.hex(":")}
    batch.events.append(Event(at=now, kind=EventKind.DECLINED, mac=held.mac, details=details))


def _straight(to: Destination, arrival: Arrival, request: Message, policy: Policy) -> Destination:
    """Send to a client that runs on our own link by its MAC, without ARP.

    Else whoever invents clients could fill the kernel's send queue with packets that wait for ARP in vain.
    """
    subnet = policy.subnet
    if subnet is None or arrival.port == BOOT_PORT or int(request.giaddr) or to.address != request.ciaddr:
        return to
    on_link = policy.server in subnet.network and to.address in subnet.network
    return to._replace(hardware=request.mac) if on_link else to


def _source(arrival: Arrival, policy: Policy) -> IPv4Address:
    """Port 4011 answers from the address that was asked, which may be an alias; port 67 from the server's own."""
    asked_one = arrival.port == BOOT_PORT and arrival.destination != EVERYONE and not arrival.destination.is_multicast
    return arrival.destination if asked_one else policy.server
