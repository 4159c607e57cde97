"""Where to serve: the interfaces that the file names, as the kernel has them at this moment.

An interface may come later than the daemon, go while it runs and come back: a USB card, a VLAN, a bridge that another
program makes.  What cannot be served now is told, and waited for; only a daemon that could serve nobody does not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.config import Config, Interface
from netboot.errors import InvalidInput, NetbootError, Unavailable
from netboot.system.links import Link, Links


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
    is_up: bool = True
    mtu: int = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is there of what the file names.  `absent` says by name what cannot be served now, and why."""

    places: tuple[Place, ...]
    absent: Mapping[str, NetbootError]

    def check(self) -> Survey:
        """Itself; raises for a mistake of the file, and when there is nobody to serve at all."""
        for error in self.absent.values():
            if isinstance(error, InvalidInput) or not self.places:
                raise error
        return self


def survey(config: Config) -> Survey:
    """Ask the kernel.  Raises `InvalidInput` for a file that names no interface: we never pick one ourselves."""
    if not config.interface:
        raise InvalidInput(
            "the configuration names no interface, and none is ever served unasked",
            hint='add one: [[interface]] with name = "eth1" and dhcp = "own" or "proxy"',
        )
    with Links() as links:
        return survey_of(config, links.list())


def survey_of(config: Config, links: Iterable[Link]) -> Survey:
    """Which of these links to serve."""
    by_name = {link.name: link for link in links}
    host = {each.ip for link in by_name.values() for each in link.addresses if not each.ip.is_loopback}
    places, absent = [], {}
    for interface in config.interface:
        try:
            places.append(place_of(interface, by_name, config, host=host))
        except NetbootError as error:
            absent[interface.name] = error
    return Survey(places=tuple(places), absent=absent)


def place_of(interface: Interface, links: Mapping[str, Link], config: Config, *, host: Iterable[IPv4Address]) -> Place:
    """Where to serve `interface`; `host` are the addresses of all links.

    Raises `Unavailable` for an interface that is missing or lacks the address it needs, `InvalidInput` for one in no
    subnet of the file, or with an address that the file reserves for a client.
    """
    link = links.get(interface.name)
    if link is None:
        others = ", ".join(sorted(links.keys() - {"lo"})) or "none"
        raise Unavailable(f"there is no interface {interface.name}", hint=f"interfaces here: {others}")
    address = _address(interface, link)
    if config.subnet_of(address) is None:
        network = next(each.network for each in link.addresses if each.ip == address)
        raise InvalidInput(
            f"no [[subnet]] holds {address} of interface {interface.name}",
            hint=f'add one: [[subnet]] with network = "{network}"',
        )
    if any(each.address == address for each in config.reservation):
        raise InvalidInput(
            f"{address} is interface {interface.name}'s own and cannot be reserved",
            hint="choose another address in that [[reservation]]",
        )
    return Place(
        interface=interface,
        index=link.index,
        address=address,
        other_addresses=frozenset(host) - {address},
        is_up=link.up,
        mtu=link.mtu,
    )


def _address(interface: Interface, link: Link) -> IPv4Address:
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
    return address
