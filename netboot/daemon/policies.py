"""From configuration and state to the frozen policies that decisions take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from netboot.boot.choose import BootPolicy
from netboot.config import Config, DhcpMode, Subnet
from netboot.daemon.places import Place
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.policy import Policies, Policy
from netboot.dhcp.reserved import Reserved
from netboot.model.mac import MacAddress
from netboot.model.networks import NetworkTable
from netboot.model.strategy import Strategy
from netboot.store import ClientDirectory
from netboot.store.strategies import Make


class Reservations(Mapping[IPv4Address, MacAddress]):
    """The addresses that an admin reserved, as the directory knows them at the moment they are asked for."""

    def __init__(self, clients: ClientDirectory) -> None:
        self._clients = clients

    def __getitem__(self, address: IPv4Address) -> MacAddress:
        client = self._clients.reserved(address)
        if client is None:
            raise KeyError(address)
        return client.mac

    def get(self, address: IPv4Address, default: Any = None) -> Any:
        """As ever, without an error that is raised and caught for almost every address."""
        client = self._clients.reserved(address)
        return default if client is None else client.mac

    def __iter__(self) -> Iterator[IPv4Address]:
        return (each.address for each in self._clients.list() if each.address)

    def __len__(self) -> int:
        return sum(1 for _ in self)


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
    # A reload may just have taken the interface's own network away; then it is about to be left.
    nobody = Policy(
        mode=DhcpMode.OFF, interface=place.interface.name, server=place.address, http_port=http_port, boot=boot
    )

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

    networks = NetworkTable((subnet.network, policy(subnet)) for subnet in config.subnet)
    return Policies(home=networks.find(place.address) or nobody, networks=networks)


def served_networks(config: Config) -> tuple[IPv4Network, ...]:
    """Whom images are exported to."""
    return tuple(each.network for each in config.subnet)
