"""DHCP clients of several kinds as messages, and a policy to ask; shared by the tiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from netboot.boot.choose import BootPolicy
from netboot.config import DhcpMode, Subnet, UnknownClients
from netboot.dhcp import options as opt
from netboot.dhcp.answer import answer
from netboot.dhcp.batch import Batch, take
from netboot.dhcp.decision import Arrival, Decision, Reply, Silence
from netboot.dhcp.destination import EVERYONE
from netboot.dhcp.leases import LeaseBook, LeaseView
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.dhcp.packets import Outgoing, Packet
from netboot.dhcp.policy import Policies, Policy
from netboot.model.client import Client
from netboot.model.image import Version
from netboot.model.lease import Lease, LeaseState, Pool
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.networks import NetworkTable
from tests.kit import MAC, make_version

SERVER = IPv4Address("10.9.0.1")
NOW = 1_000_000.0
UUID = bytes.fromhex("33221100554477668899aabbccddeeff")
LAB = Client(mac=MAC, name="lab-01", image=VersionRef("debian"))
RESERVED = Client(
    mac=MacAddress.parse("52:54:00:00:00:07"),
    name="lab-07",
    image=VersionRef("debian"),
    address=IPv4Address("10.9.0.7"),
)

SUBNET = Subnet(
    network=IPv4Network("10.9.0.0/24"),
    pool=(Pool(IPv4Address("10.9.0.100"), IPv4Address("10.9.0.109")),),
    router=IPv4Address("10.9.0.254"),
    dns=(IPv4Address("10.9.0.53"), IPv4Address("10.9.0.54")),
    domain="lab.example",
    lease_time_s=3600,
)

Raw = Mapping[int, bytes]
# What each kind of asker sends besides its message type.  Shapes as in the captures.
SYSTEM: Raw = {55: bytes((1, 3, 6, 12, 15, 28))}
_PXE: Raw = {55: bytes((1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 97)), 57: b"\x05\xc0", 97: b"\x00" + UUID}
BIOS: Raw = {**_PXE, 60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 94: b"\x01\x02\x01"}
UEFI: Raw = {**_PXE, 60: b"PXEClient:Arch:00007:UNDI:003016", 93: b"\0\x07", 94: b"\x01\x03\x10"}
UEFI_HTTP: Raw = {**_PXE, 60: b"HTTPClient:Arch:00016:UNDI:003001", 93: b"\0\x10", 94: b"\x01\x03\x01"}
IPXE: Raw = {**BIOS, 77: b"iPXE", 175: bytes.fromhex("130101180101210101b105011af41000")}


@dataclass(frozen=True)
class Known:
    clients: tuple[Client, ...] = ()

    def find(self, mac: MacAddress) -> Client | None:
        return next((each for each in self.clients if each.mac == mac), None)


@dataclass(frozen=True)
class Published:
    versions: tuple[Version, ...] = field(default_factory=lambda: (make_version(),))

    def find(self, ref: VersionRef) -> Version | None:
        return next((each for each in reversed(self.versions) if each.image == ref.image), None)

    def list(self) -> Sequence[Version]:
        return self.versions


def make_policy(
    *clients: Client, mode: DhcpMode = DhcpMode.OWN, unknown: str = "nothing", leases: Iterable[Lease] = (), **more: Any
) -> Policy:
    """A policy for 10.9.0.0/24 with its own lease book; the clients' addresses are reserved."""
    policy = Policy(
        mode=mode,
        interface="br0",
        server=SERVER,
        http_port=8080,
        boot=BootPolicy(clients=Known(clients), versions=Published(), unknown=UnknownClients.parse(unknown)),
        subnet=None if mode is DhcpMode.PROXY else SUBNET,
        reservations={each.address: each.mac for each in clients if each.address},
        leases=LeaseBook(leases),
    )
    return replace(policy, **more)


class Shelf:
    """A store of leases in memory."""

    def __init__(self) -> None:
        self.kept: dict[IPv4Address, Lease] = {}

    def load(self) -> Sequence[Lease]:
        return tuple(self.kept.values())

    def commit(self, leases: Sequence[Lease]) -> None:
        self.kept.update({each.address: each for each in leases})


def serve_by(ledger: Ledger, home: Policy, **others: Policy) -> Policies:
    """The policies of one interface, each with its network's book of the `ledger`; a proxy's network is SUBNET's."""
    networks = {(each.subnet or SUBNET).network: each for each in (home, *others.values())}
    ledger.serve(networks)
    made = {network: replace(each, leases=ledger.book(network)) for network, each in networks.items()}
    return Policies(home=made[(home.subnet or SUBNET).network], networks=NetworkTable(made.items()))


def packet(
    kind: MessageType, asker: Raw = SYSTEM, *, mac: MacAddress = MAC, more: Raw | None = None, **fields: Any
) -> Message:
    """A client's message: its kind, what such an asker sends, more options, and header fields."""
    options = {53: bytes((kind,)), **asker, **(more or {})}
    return Message(**{"xid": 0x1234, "chaddr": mac.octets + bytes(10), "options": options, **fields})


def discover(asker: Raw = SYSTEM, **fields: Any) -> Message:
    return packet(MessageType.DISCOVER, asker, **fields)


def selecting(wanted: str, asker: Raw = SYSTEM, *, server: IPv4Address = SERVER, **fields: Any) -> Message:
    """A REQUEST that takes an offer."""
    more = dict([opt.SERVER_ID.write(server), opt.REQUESTED_ADDRESS.write(IPv4Address(wanted))])
    return packet(MessageType.REQUEST, asker, more={**more, **fields.pop("more", {})}, **fields)


def rebooting(wanted: str, asker: Raw = SYSTEM, **fields: Any) -> Message:
    """A REQUEST of a client that remembers an address from before."""
    more = dict([opt.REQUESTED_ADDRESS.write(IPv4Address(wanted))])
    return packet(MessageType.REQUEST, asker, more=more, **fields)


def extending(address: str, asker: Raw = SYSTEM, **fields: Any) -> Message:
    """A REQUEST of a client that runs on an address: RENEWING or REBINDING, by how it arrives."""
    return packet(MessageType.REQUEST, asker, ciaddr=IPv4Address(address), **fields)


def arrival(*, port: int = 67, source: tuple[str, int] = ("0.0.0.0", 68), to: IPv4Address = EVERYONE) -> Arrival:
    return Arrival(source=(IPv4Address(source[0]), source[1]), destination=to, port=port)


UNICAST = arrival(source=("10.9.0.100", 68), to=SERVER)
BOOT_PORT = arrival(port=4011, source=("10.9.0.100", 4011), to=SERVER)


def ask(message: Message, policy: Policy, *, now: float = NOW, by: Arrival | None = None) -> Decision:
    """Answer, and enter the leases as the server does."""
    decision = answer(message, by or arrival(), policy, now)
    assert isinstance(policy.leases, LeaseBook)
    for lease in decision.leases:
        policy.leases.put(lease)
    return decision


def reply(message: Message, policy: Policy, *, now: float = NOW, by: Arrival | None = None) -> Message:
    decision = ask(message, policy, now=now, by=by)
    assert isinstance(decision, Reply), decision.reason
    return decision.message


def dora(policy: Policy, asker: Raw = SYSTEM, *, now: float = NOW, **fields: Any) -> Message:
    """A whole exchange; returns the ACK."""
    offer = reply(discover(asker, **fields), policy, now=now)
    return reply(selecting(str(offer.yiaddr), asker, **fields), policy, now=now)


def silence(message: Message, policy: Policy, *, now: float = NOW, by: Arrival | None = None) -> str:
    """The reason of a silence."""
    decision = ask(message, policy, now=now, by=by)
    assert isinstance(decision, Silence), decision.reason
    return decision.reason


def holder(book: LeaseView, address: IPv4Address, now: float) -> MacAddress | None:
    """Whose address it is, by lease or by hold."""
    assert isinstance(book, LeaseBook)
    for line in (book.lease_at(address), book.hold_at(address)):
        if line is not None and line.state is not LeaseState.DECLINED and line.holds(now):
            return line.mac
    return None


def told(decision: Decision) -> list[str]:
    return [each.kind.value for each in decision.events]


class Edge:
    """From packets to what is written and sent: one interface, one ledger and one batch."""

    def __init__(self, home: Policy, **others: Policy) -> None:
        self.ledger, self.batch = Ledger(Shelf()), Batch()
        self.policies = serve_by(self.ledger, home, **others)

    def take(self, message: Message, by: Arrival | None = None) -> tuple[Outgoing, ...]:
        """What is sent at once; what waits for its lease is in the batch."""
        return take(Packet(encode(message), by or arrival()), self.policies, self.ledger, NOW, self.batch)

    def ask(self, message: Message, by: Arrival | None = None) -> Message | None:
        """The reply, whenever it is sent."""
        sent = [*self.take(message, by), *self.batch.replies]
        self.batch = Batch()
        assert len(sent) <= 1
        return decode(sent[0].payload) if sent else None


def active(address: str, mac: MacAddress = MAC, *, until: float = NOW + 1000, client_id: bytes | None = None) -> Lease:
    return Lease(address=IPv4Address(address), mac=mac, state=LeaseState.ACTIVE, expires_at=until, client_id=client_id)


def macs(count: int) -> list[MacAddress]:
    return [MacAddress(b"\x52\x54\x01" + number.to_bytes(3, "big")) for number in range(count)]
