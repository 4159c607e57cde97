"""Stencils: how the packets of one kind are answered, cut from one answer that `answer` gave.

A classroom that is switched on sends the same two packets over and over, alike but for their marks.  What machines are
told that no admin named depends on the kind alone; only who gets which address is decided for each.  So a stencil has
the reply as bytes with gaps for the marks, and asks for the address where `answer` does.  What it does not cover - a
named client, a refusal, a full pool, a Raspberry Pi among PCs - it leaves to `answer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.config import DhcpMode, Subnet
from netboot.dhcp import options as opt
from netboot.dhcp import relay
from netboot.dhcp.allocate import Claim, NoAddress, choose_address, refusal
from netboot.dhcp.decision import CLIENT_PORT, SERVER_PORT
from netboot.dhcp.destination import EVERYONE, Destination
from netboot.dhcp.gaps import GappedEvent, GappedReply
from netboot.dhcp.grant import given_back, hold, is_new, told_id, told_name
from netboot.dhcp.identify import has_marks_of_pi, hyphenated, swapped_uuid, uuid_of
from netboot.dhcp.kinds import MAC, Layout
from netboot.dhcp.message import Message, MessageType
from netboot.dhcp.packets import Outgoing
from netboot.dhcp.policy import Policy
from netboot.model.event import Detail, Event
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware

# The details of events: what depends on the kind, with the MAC in it or not, and what is a machine's own.
_OF_KIND = frozenset(
    ("firmware", "arch", "stage", "interface", "reason", "hint", "boot_file", "url", "strategy", "fingerprint")
)
_OF_MACHINE = frozenset(("address", "uuid"))
_NOBODY = bytes(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stencil:
    """`to` is None where the reply goes straight to a client by the address that it is lent."""

    layout: Layout
    policy: Policy
    subnet: Subnet
    is_offer: bool
    is_relayed: bool
    reply: GappedReply
    events: tuple[GappedEvent, ...]
    has_uuid: bool
    lease_time_s: int
    to: Destination | None

    def fill(self, packet: bytes, now: float) -> tuple[tuple[Lease, ...], Outgoing] | None:
        """What `answer` would decide about a packet of the stencil's kind; None where that must be asked."""
        octets = packet[MAC]
        marks = {code: packet[place] for code, place in self.layout.marks.items()}
        machine_id = marks.get(opt.MACHINE_ID.code, b"")
        uuid = uuid_of(machine_id)
        if octets == _NOBODY or (uuid is not None) is not self.has_uuid:
            return None
        mac = MacAddress(octets)
        if has_marks_of_pi(machine_id, octets) or self.policy.boot.clients.find(mac) is not None:
            return None
        claim = Claim(
            mac=mac,
            subnet=self.subnet,
            server=self.policy.server,
            leases=self.policy.leases,
            reservations=self.policy.reservations,
            now=now,
            aliases=self.policy.also_known_as,
        )
        wanted = opt.REQUESTED_ADDRESS.read(marks)
        address = choose_address(claim, wanted) if self.is_offer else _granted(claim, wanted)
        if isinstance(address, NoAddress):
            return None
        return hold(claim, address) if self.is_offer else self._lent(marks, claim, address), Outgoing(
            payload=self.reply.fill(packet, address.packed, mac),
            to=self.to or Destination(address, CLIENT_PORT, mac, answers_arp=False),
            source=self.policy.server,
            port=SERVER_PORT,
            events=self._events(claim, address, uuid) if self.events else (),
            probe=address if self.is_offer and not self.is_relayed and is_new(claim, address) else None,
        )

    def _lent(self, marks: opt.Options, claim: Claim, address: IPv4Address) -> tuple[Lease, ...]:
        lease = Lease(
            address=address,
            mac=claim.mac,
            state=LeaseState.ACTIVE,
            expires_at=claim.now + self.lease_time_s,
            client_id=told_id(marks, claim.mac),
            hostname=told_name(marks),
        )
        return (*given_back(claim, address), lease)

    def _events(self, claim: Claim, address: IPv4Address, uuid: str | None) -> tuple[Event, ...]:
        marks: dict[str, Detail] = {"address": str(address)}
        if uuid is not None:
            marks["uuid"] = hyphenated(swapped_uuid(uuid))
        return tuple(each.fill(claim.now, claim.mac, marks) for each in self.events)


def cut_stencil(request: Message, layout: Layout, policy: Policy, reply: Message, sent: Outgoing) -> Stencil | None:
    """The stencil of a reply and of how it was sent; None where there can be none."""
    mac, subnet, clients = request.mac, policy.subnet, policy.boot.clients
    if mac is None or subnet is None or policy.mode is not DhcpMode.OWN or clients.find(mac) is not None:
        return None
    if policy.fixed:  # then who gets which address may depend on any mark
        return None
    if not _is_usual_step(request, reply) or has_marks_of_pi(_machine_id(request), mac.octets):
        return None
    is_relayed = bool(int(request.giaddr))
    straight = sent.to == Destination(reply.yiaddr, CLIENT_PORT, mac, answers_arp=False)
    is_usual_place = straight or sent.to.address in (EVERYONE, request.giaddr)
    if sent.port != SERVER_PORT or sent.delay_s or not is_usual_place or relay.uses_source_port(request):
        return None
    if not all(_is_of_kind(each) for each in sent.events):
        return None
    return Stencil(
        layout=layout,
        policy=policy,
        subnet=subnet,
        is_offer=reply.type is MessageType.OFFER,
        is_relayed=is_relayed,
        reply=GappedReply.cut(sent.payload, layout, mac),
        events=tuple(GappedEvent.cut(each, mac) for each in sent.events),
        has_uuid=uuid_of(_machine_id(request)) is not None,
        lease_time_s=opt.LEASE_TIME.read(reply.options) or 0,
        to=None if straight else sent.to,
    )


def _is_usual_step(request: Message, reply: Message) -> bool:
    """Whether a client without an address was offered one, or took our offer."""
    if int(request.ciaddr):
        return False
    if request.type is MessageType.DISCOVER:
        return reply.type is MessageType.OFFER
    took_offer = request.type is MessageType.REQUEST and opt.SERVER_ID.code in request.options
    return took_offer and reply.type is MessageType.ACK


def _is_of_kind(event: Event) -> bool:
    """Whether all that the event tells is of the kind, or a mark.  U-Boot writes its UUID in an order of its own."""
    return event.details.keys() <= _OF_KIND | _OF_MACHINE and event.details.get("firmware") != Firmware.UBOOT


def _machine_id(request: Message) -> bytes:
    return request.options.get(opt.MACHINE_ID.code, b"")


def _granted(claim: Claim, wanted: IPv4Address | None) -> IPv4Address | NoAddress:
    """The address of a REQUEST for an offer, if the client may have it."""
    if wanted is None:
        return NoAddress("the REQUEST names none")
    why_not = refusal(claim, wanted)
    return wanted if why_not is None else NoAddress(why_not)
