"""The lab's network: what stands where (`LabPlan`, addresses and names only), and its making.

One bridge is the wire.  The daemon listens on the bridge itself, each client hangs on a tap, and a neighbour in a
nested network namespace, joined by a veth pair, plays the rest of the site: its router and, where we are only a
ProxyDHCP, its DHCP server.  Nothing is removed here: the lab's walls do that (`netboot.lab.namespace`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from netboot.errors import InvalidInput
from netboot.model.lease import Pool
from netboot.model.mac import MacAddress
from netboot.system.links import Links, create_namespace

# 52:54:00 is QEMU's own prefix; the two octets after it keep lab clients apart from other guests.
_MAC_PREFIX = bytes.fromhex("5254004e42")
_UUIDS = uuid.UUID("6e657462-6f6f-5400-8000-6c6162000000")

MAX_CLIENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One client's place: its number from 1 on, its name, its network card, its tap, its SMBIOS UUID."""

    number: int
    name: str
    mac: MacAddress
    tap: str
    uuid: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPlan:
    """Who is where.  The IPv6 prefix is there for the router's sake alone, see `netboot.lab.neighbour`."""

    seats: tuple[Seat, ...]
    bridge: str = "br0"
    server: IPv4Interface = IPv4Interface("10.9.0.1/24")
    neighbour: IPv4Interface = IPv4Interface("10.9.0.2/24")
    neighbour_v6: IPv6Interface = IPv6Interface("fd09::2/64")
    neighbour_link: str = "site0"
    neighbour_namespace: str = "neighbour"
    pool: Pool = Pool(IPv4Interface("10.9.0.100/24").ip, IPv4Interface("10.9.0.199/24").ip)


def plan_lab(count: int) -> LabPlan:
    """The plan for `count` clients."""
    if not 1 <= count <= MAX_CLIENTS:
        raise InvalidInput(f"a lab has 1 to {MAX_CLIENTS} clients, not {count}", hint="each takes memory and a core")
    return LabPlan(seats=tuple(_seat(number) for number in range(1, count + 1)))


def _seat(number: int) -> Seat:
    mac = MacAddress(_MAC_PREFIX + bytes([number]))
    return Seat(
        number=number,
        name=f"lab-{number:02}",
        mac=mac,
        tap=f"tap{number}",
        uuid=uuid.uuid5(_UUIDS, str(mac)),
    )


def make_network(plan: LabPlan) -> None:
    """Make the plan's wire, with this process's network namespace on it as the server."""
    make_wire(plan)
    with Links() as links:
        links.add_address(plan.bridge, plan.server)


def make_wire(plan: LabPlan) -> None:
    """Make all links of the plan in this network namespace and in the neighbour's; the server may be a machine."""
    create_namespace(plan.neighbour_namespace)
    with Links() as links:
        links.add_bridge(plan.bridge)
        links.add_veth(plan.neighbour_link, peer=plan.neighbour_link, peer_namespace=plan.neighbour_namespace)
        for seat in plan.seats:
            links.add_tap(seat.tap)
        for port in (plan.neighbour_link, *(seat.tap for seat in plan.seats)):
            links.attach(port, bridge=plan.bridge)
            links.set_up(port)
        links.set_up(plan.bridge)
    _furnish_neighbour(plan)


def _furnish_neighbour(plan: LabPlan) -> None:
    with Links(plan.neighbour_namespace) as links:
        links.set_up("lo")
        links.set_up(plan.neighbour_link)
        links.add_address(plan.neighbour_link, plan.neighbour)
        links.add_address(plan.neighbour_link, plan.neighbour_v6)
