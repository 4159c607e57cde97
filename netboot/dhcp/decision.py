"""What goes into a decision about one packet, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.dhcp import options as opt
from netboot.dhcp import relay
from netboot.dhcp.message import Message
from netboot.dhcp.policy import Policy
from netboot.model.client import Client
from netboot.model.event import Detail, Event, EventKind
from netboot.model.lease import Lease
from netboot.model.mac import MacAddress
from netboot.model.request import BootRequest

SERVER_PORT, CLIENT_PORT, BOOT_PORT = 67, 68, 4011


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a packet came in: on which of our ports, from where, and to which of our addresses."""

    source: tuple[IPv4Address, int]
    destination: IPv4Address
    port: int = SERVER_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nothing is sent.  `leases` may change all the same: a RELEASE gets no answer."""

    reason: str
    leases: tuple[Lease, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`message` is sent once `leases` are durable and after `delay_s`, then `events` are recorded.

    `probe` is an address that is new to its client: who else uses it should be asked before it is taken.
    """

    message: Message
    reason: str
    leases: tuple[Lease, ...] = ()
    events: tuple[Event, ...] = ()
    probe: IPv4Address | None = None
    delay_s: float = 0.0


Decision = Reply | Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One packet from a client with all that its answer depends on.

    `asker` is the booting machine, None for an ordinary DHCP client; `client` is what an admin said of this MAC.
    """

    message: Message
    mac: MacAddress
    arrival: Arrival
    policy: Policy
    now: float
    asker: BootRequest | None
    client: Client | None

    @property
    def server_id(self) -> IPv4Address:
        """Option 54 of our replies: the relay's override (RFC 5107), what the client calls us, or our address."""
        if override := relay.server_override(self.message):
            return override
        named = opt.SERVER_ID.read(self.message.options)
        return named if named is not None and named in self.policy.also_known_as else self.policy.server

    @property
    def names_us(self) -> bool:
        """Whether the client's option 54 means us."""
        named = opt.SERVER_ID.read(self.message.options)
        return named is not None and named in (self.policy.server, self.server_id, *self.policy.also_known_as)

    def event(self, kind: EventKind, **details: Detail | None) -> Event:
        """An event of this client now; details that are None are left out."""
        kept = {key: value for key, value in details.items() if value is not None}
        return Event(at=self.now, kind=kind, mac=self.mac, details=kept)
