"""From configuration and state to the frozen policies that decisions take."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from netboot.boot.choose import BootPolicy
from netboot.config import Config, DhcpMode, Interface, Subnet
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.policy import Policies, Policy
from netboot.dhcp.reserved import Reserved
from netboot.errors import InvalidInput, Unavailable
from netboot.model.mac import MacAddress
from netboot.model.networks import NetworkTable
from netboot.model.strategy import Strategy
from netboot.store import ClientDirectory
from netboot.store.strategies import Make
from netboot.system.links import Link

log = logging.getLogger(__name__)


class Reservations(Mapping[IPv4Address, MacAddress]):
    """The addresses that an admin reserved, as the directory knows them at the moment they are asked for."""

    def __init__(self, clients: ClientDirectory) -> None:
        self._clients = clients

    def __getitem__(self, address: IPv4Address) -> MacAddress:
        client = self._clients.reserved(address)
        if client is None:
            raise KeyError(address)
        return client.mac

    def __iter__(self) -> Iterator[IPv4Address]:
        return (each.address for each in self._clients.list() if each.address)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An interface that we serve: what the file says of it, and what the kernel does.

    `index` tells an interface from a later one of the same name, to which no open socket is bound.
    `other_addresses` are this host's besides `address`, on whatever interface.
    """

    interface: Interface
    index: int
    address: IPv4Address
    other_addresses: frozenset[IPv4Address]
    subnet: Subnet
    mtu: int = 1500


def place_of(interface: Interface, link: Link, config: Config, *, host: Iterable[IPv4Address] = ()) -> Place:
    """Where to serve `interface`; `host` are the addresses of all interfaces.

    Raises `Unavailable` for an interface without the address it needs, `InvalidInput` for one without a subnet.
    """
    if not link.up:
        log.warning("interface %s is down, so nobody is served there: ip link set %s up", link.name, link.name)
    own = [each.ip for each in link.addresses]
    address = interface.address or link.address
    if address is None:
        raise Unavailable(
            f"interface {interface.name} has no IPv4 address, so clients could not reach this server there",
            hint=f"give it one, as: ip address add 10.9.0.1/24 dev {interface.name}",
        )
    if address not in own:
        raise Unavailable(
            f"interface {interface.name} does not have the address {address}",
            hint=f"it has {', '.join(map(str, own)) or 'none'}; correct interface.address or the interface",
        )
    subnet = config.subnet_of(address)
    if subnet is None:
        network = next(each.network for each in link.addresses if each.ip == address)
        raise InvalidInput(
            f"no [[subnet]] holds {address} of interface {interface.name}",
            hint=f'add one: [[subnet]] with network = "{network}"',
        )
    return Place(
        interface=interface,
        index=link.index,
        address=address,
        other_addresses=frozenset((*own, *host)) - {address},
        subnet=subnet,
        mtu=link.mtu,
    )


def check_reservations(config: Config, host: Iterable[IPv4Address]) -> None:
    """Raises `InvalidInput` for a `[[reservation]]` of an address that this host has itself."""
    for address in sorted({each.address for each in config.reservation} & set(host)):
        raise InvalidInput(
            f"{address} cannot be reserved: this server has it itself",
            hint="choose another address in that [[reservation]]",
        )


def shadowed_reservations(config: Config, clients: ClientDirectory) -> Iterator[str]:
    """The reservations of the file that wait, since the same address is reserved for a client's MAC address."""
    for each in config.reservation:
        if client := clients.reserved(each.address):
            yield f"{each.address} goes to client {client.name}, not to {each.whose}"


def dhcp_policies(
    place: Place,
    config: Config,
    *,
    boot: BootPolicy,
    clients: ClientDirectory,
    ledger: Ledger,
    strategies: Mapping[Make, Strategy],
    http_port: int,
) -> Policies:
    """How DHCP is answered at `place`: on its own network, and for relays of every other."""
    reservations = Reservations(clients)

    def policy(subnet: Subnet) -> Policy:
        mode = place.interface.mode_for(subnet)
        return Policy(
            mode=mode,
            interface=place.interface.name,
            server=place.address,
            also_known_as=place.other_addresses,
            http_port=http_port,
            boot=boot,
            subnet=subnet if mode is DhcpMode.OWN else None,  # a proxy lends nothing
            reservations=reservations,
            fixed=Reserved(config.reservations_of(subnet)),
            authoritative=subnet.authoritative,
            mtu=place.mtu,
            strategies=strategies,
            leases=ledger.book(subnet.network),
        )

    made = {subnet.network: policy(subnet) for subnet in config.subnet}
    return Policies(home=made[place.subnet.network], networks=NetworkTable(made.items()))


def served_networks(config: Config) -> tuple[IPv4Network, ...]:
    """Whom images are exported to."""
    return tuple(each.network for each in config.subnet)
