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
from netboot.dhcp.gaps import GappedEvent, GappedReply, Marks
from netboot.dhcp.grant import given_back, hold, is_new, told_id, told_name
from netboot.dhcp.identify import has_marks_of_pi, uuid_of
from netboot.dhcp.kinds import MAC, Layout
from netboot.dhcp.message import Message, MessageType
from netboot.dhcp.packets import Outgoing
from netboot.dhcp.policy import Policy
from netboot.model.event import Event
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware

# The details of events: what depends on the kind, with the MAC in it or not, and what is a machine's own.
_OF_KIND = frozenset(
    ("firmware", "arch", "stage", "interface", "reason", "hint", "boot_file", "url", "strategy", "fingerprint")
)
_OF_MACHINE = frozenset(("address", "uuid"))
_NOBODY = bytes(6)
_MACHINE_ID, _WANTED = opt.MACHINE_ID.code, opt.REQUESTED_ADDRESS.code


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
    has_names: bool
    lease_time_s: int
    to: Destination | None

    def fill(self, packet: bytes, now: float) -> tuple[tuple[Lease, ...], Outgoing] | None:
        """What `answer` would decide about a packet of the stencil's kind; None where that must be asked."""
        policy, marks = self.policy, self.layout.marks
        octets = packet[MAC]
        machine_id = packet[marks[_MACHINE_ID]] if _MACHINE_ID in marks else b""
        uuid = uuid_of(machine_id)
        if octets == _NOBODY or (uuid is not None) is not self.has_uuid or has_marks_of_pi(machine_id, octets):
            return None
        mac = MacAddress(octets)
        if policy.boot.clients.find(mac) is not None:
            return None
        claim = Claim(mac, self.subnet, policy.server, policy.leases, policy.reservations, now, None, False)
        claim = claim._replace(aliases=policy.also_known_as) if policy.also_known_as else claim
        wanted = opt.REQUESTED_ADDRESS.shape.read(packet[marks[_WANTED]]) if _WANTED in marks else None
        address = choose_address(claim, wanted) if self.is_offer else _granted(claim, wanted)
        if isinstance(address, NoAddress):
            return None
        return hold(claim, address) if self.is_offer else self._lent(packet, claim, address), Outgoing(
            self.reply.fill(packet, address.packed, mac),
            self.to or Destination(address, CLIENT_PORT, mac, answers_arp=False),
            policy.server,
            SERVER_PORT,
            self._events(now, Marks(mac, address, uuid)),
            address if self.is_offer and not self.is_relayed and is_new(claim, address) else None,
        )

    def _lent(self, packet: bytes, claim: Claim, address: IPv4Address) -> tuple[Lease, ...]:
        client_id = hostname = None
        if self.has_names:
            said = {code: packet[place] for code, place in self.layout.marks.items()}
            client_id, hostname = told_id(said, claim.mac), told_name(said)
        until = claim.now + self.lease_time_s
        return (*given_back(claim, address), Lease(address, claim.mac, LeaseState.ACTIVE, until, client_id, hostname))

    def _events(self, now: float, marks: Marks) -> tuple[Event, ...]:
        return tuple([each.fill(now, marks) for each in self.events])


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
        has_names=not layout.marks.keys().isdisjoint((opt.CLIENT_ID.code, opt.HOSTNAME.code)),
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
