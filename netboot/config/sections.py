"""The sections of the configuration and their settings.

Each field made by `setting` is one key of the TOML file.  Cross-checks that need more than one value of a
section stand in its `__post_init__`; those that need several sections in `Config.__post_init__`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from netboot.config import values
from netboot.config.reservation import Reservation, check_twice
from netboot.config.setting import REQUIRED, setting
from netboot.config.wishes import WishSettings
from netboot.errors import InvalidInput
from netboot.model.lease import Pool
from netboot.model.loader import NO_LOADERS, Loader, LoadersByArch
from netboot.model.names import VersionRef
from netboot.model.networks import Route


class DhcpMode(StrEnum):
    """What we do on an interface: serve addresses, add boot information beside another server, or neither."""

    OWN = "own"
    PROXY = "proxy"
    OFF = "off"


class ExportBackend(StrEnum):
    """Which NFS server exports the images; `auto` takes the kernel's where there is one."""

    AUTO = "auto"
    KERNEL = "kernel"
    GANESHA = "ganesha"


class IscsiServer(StrEnum):
    """Which iSCSI target serves the images; `auto` takes the kernel's, LIO, where there is one."""

    AUTO = "auto"
    LIO = "lio"
    TGT = "tgt"


class UnknownPolicy(StrEnum):
    NOTHING = "nothing"
    MENU = "menu"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class UnknownClients:
    """What a client that nobody added gets; `image` is set for the policy `image` alone."""

    policy: UnknownPolicy = UnknownPolicy.NOTHING
    image: VersionRef | None = None

    @classmethod
    def parse(cls, value: Any) -> Self:
        name = values.text(value)
        if name in (UnknownPolicy.NOTHING, UnknownPolicy.MENU):
            return cls(UnknownPolicy(name))
        kind, colon, ref = name.partition(":")
        if kind == UnknownPolicy.IMAGE and colon:
            return cls(UnknownPolicy.IMAGE, VersionRef.parse(ref))
        raise InvalidInput('must be "nothing", "menu" or "image:NAME", as "image:debian-minimal"')

    def __str__(self) -> str:
        return f"image:{self.image}" if self.image else str(self.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """`[[interface]]`: a network interface that we may use.  One that is not listed is never touched."""

    name: str = setting(REQUIRED, values.interface_name, "The interface, as the kernel names it.")
    dhcp: DhcpMode | None = setting(
        None,
        values.choice(DhcpMode),
        "What to do there: serve addresses (own), answer beside another DHCP server (proxy), or neither (off), "
        "whatever a subnet says; by default what the subnet says, else neither.",
    )
    address: IPv4Address | None = setting(
        None, values.address, "The server's address there; by default the first IPv4 address of the interface."
    )

    def mode_for(self, subnet: Subnet) -> DhcpMode:
        """How clients of `subnet` are served whose packets arrive here, their own or a relay's.

        An interface that is off is off for everybody: no subnet can open a port there.
        """
        return DhcpMode.OFF if self.dhcp is DhcpMode.OFF else subnet.dhcp or self.dhcp or DhcpMode.OFF


# What one DHCP option of 255 bytes holds: addresses of four bytes; routes of up to nine, and the default route.
_MOST_ADDRESSES, _MOST_ROUTES = 63, 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """`[[subnet]]`: a network that we serve, and what its clients are told about it."""

    network: IPv4Network = setting(REQUIRED, values.network, "The network with its prefix length.")
    dhcp: DhcpMode | None = setting(
        None,
        values.choice(DhcpMode),
        "What to do for this network, on its own interface and for relays; by default what the interface says.",
    )
    pool: tuple[Pool, ...] = setting(
        (), values.one_or_many(values.pool), "The range of addresses to lend, or several; none means reservations only."
    )
    router: IPv4Address | None = setting(None, values.address, "The default gateway that clients are told.")
    dns: tuple[IPv4Address, ...] = setting((), values.many(values.address), "The name servers that clients are told.")
    domain: str | None = setting(None, values.domain, "The DNS domain that clients are told.")
    routes: tuple[Route, ...] = setting(
        (), values.many(values.route), 'Further routes that clients are told, as "10.20.0.0/16 via 10.9.0.254".'
    )
    lease_time_s: int = setting(
        43200, values.whole(300, 31_536_000), "How long an address is lent; clients renew at half of it."
    )
    authoritative: bool = setting(
        True,
        values.boolean,
        "Whether nobody else lends addresses here, so that a client with a foreign one is told to give it up.",
    )
    rapid_commit: bool = setting(
        False,
        values.boolean,
        "Whether a client that asks for it gets its lease in two packets; its address is not probed.",
    )
    # The addresses of the network and of its pools, and the router's, the name servers' and the network's own, as whole
    # numbers: every packet asks, and addresses compare and hash in Python.
    numbers: range = field(init=False, repr=False, compare=False)
    lent: tuple[range, ...] = field(init=False, repr=False, compare=False)
    never_lent: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for pool in self.pool:
            if pool.first not in self.network or pool.last not in self.network:
                raise InvalidInput(f"pool {pool} is not within {self.network}")
        for one, other in pairwise(sorted(self.pool, key=lambda each: each.first)):
            if other.first in one:
                raise InvalidInput(f"pools {one} and {other} overlap")
        if self.router and self.router not in self.network:
            raise InvalidInput(f"router {self.router} is not within {self.network}")
        if len(self.dns) > _MOST_ADDRESSES:
            raise InvalidInput(f"dns lists {len(self.dns)} servers; one DHCP option holds {_MOST_ADDRESSES}")
        if len(self.routes) > _MOST_ROUTES:
            raise InvalidInput(f"routes lists {len(self.routes)}; one DHCP option holds {_MOST_ROUTES} in any case")
        first, last = int(self.network[0]), int(self.network[-1])
        never = (first, last, *map(int, filter(None, (self.router, *self.dns))))
        # A frozen value may complete itself here alone.
        object.__setattr__(self, "numbers", range(first, last + 1))
        object.__setattr__(self, "lent", tuple(pool.numbers for pool in self.pool))
        object.__setattr__(self, "never_lent", frozenset(never))

    def lends(self, address: IPv4Address) -> bool:
        """Whether one of the pools holds `address`."""
        number = int(address)
        for numbers in self.lent:  # noqa: SIM110  # a generator takes three times as long
            if number in numbers:
                return True
        return False

    def __hash__(self) -> int:
        return hash(self.network)  # enough to tell subnets apart, and asked for with every packet


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """`[http]`: the boot listener."""

    port: int = setting(8080, values.whole(1, 65535), "The TCP port of scripts, kernels and initrds.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TftpSettings:
    """`[tftp]`: the TFTP server."""

    enabled: bool = setting(True, values.boolean, "Whether to serve TFTP on the listed interfaces.")
    port: int = setting(69, values.whole(1, 65535), "The UDP port; firmware knows no other than 69.")
    ports: range | None = setting(
        None,
        values.ports,
        "The UDP ports that transfers are sent from, one each, for firewalls; by default any free one.",
    )
    pi_firmware: Path | None = setting(
        None, values.path, "The folder with a Raspberry Pi's own boot files, as /usr/lib/raspi-firmware."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """`[clients]`: how clients are told apart."""

    unknown: UnknownClients = setting(
        UnknownClients(), UnknownClients.parse, "What an unknown client gets: nothing, a menu, or an image."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSettings(WishSettings):
    """`[boot]`: what every booting client is told, unless its own record says otherwise."""

    kernel_args: tuple[str, ...] = setting(
        (), values.many(values.word), "Words added to every kernel line, as console=ttyS0."
    )
    shell: bool = setting(
        False, values.boolean, "Whether every client offers a root shell on its console when its root fails."
    )
    patience: float = setting(
        1.0,
        values.seconds(0.1, 20),
        "Factor on the time limits after which a boot counts as stalled; above 1 for slow or emulated machines.",
    )
    loader: Loader | None = setting(
        None, values.loader, "The loader of clients that nothing else is said for: a family, or the name of a file."
    )
    files: Path | None = setting(
        None, values.path, "A folder of yours with files for clients, and templates of such; docs/clients-own.md."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(WishSettings):
    """`[profile.NAME]`: a named bundle of boot settings, for clients that have it."""

    inherits: str | None = setting(
        None, values.profile_name, "Another profile, whose settings hold where this one says nothing."
    )
    loader: Loader | None = setting(None, values.loader, "The boot loader: a family, or the name of a file.")
    loaders: LoadersByArch = setting(
        NO_LOADERS, values.loaders, "Loaders by architecture; a table of its own, as `[loaders]`."
    )
    kernel_args: tuple[str, ...] = setting(
        (), values.many(values.word), "Words for the kernel line, after those of [boot] and of the inherited profile."
    )
    shell: bool | None = setting(
        None, values.boolean, "Whether a root shell is offered on the console when the root fails."
    )
    files: Path | None = setting(
        None, values.path, "A folder of yours with files for clients, and templates of such; docs/clients-own.md."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """`[exports]`: how images reach the clients."""

    backend: ExportBackend = setting(
        ExportBackend.AUTO, values.choice(ExportBackend), "The NFS server: auto, kernel or ganesha."
    )
    iscsi: IscsiServer = setting(IscsiServer.AUTO, values.choice(IscsiServer), "The iSCSI target: auto, lio or tgt.")
    iscsi_chap: bool = setting(
        False,
        values.boolean,
        "Whether iSCSI clients prove who they are, each by a secret of its own; else whoever is in a served network"
        " may read what is served.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """`[images]`: how versions of images are made."""

    prepare: Path | None = setting(
        None, values.path, "A table of yours of what is removed from images, or exempt; it goes before the program's."
    )
    snapshot: str | None = setting(
        None,
        values.text,
        "The URL of an archive of snapshots of Debian's, with {archive} and {time} in it, for recipes with a snapshot.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettings:
    """`[events]`: what is remembered of boots."""

    keep_days: int = setting(90, values.whole(1, 3650), "How long events are kept.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file.  `data_dir` None means: as the command line, the environment or the default say."""

    data_dir: Path | None = setting(None, values.path, "Where images, state and consoles live.")
    templates: Path | None = setting(
        None, values.path, "A folder of yours whose files are used in place of the templates of the same name."
    )
    loaders_dir: Path | None = setting(
        None, values.path, "A folder with loaders of yours; by default `loaders` in the data directory."
    )
    loaders: LoadersByArch = setting(
        NO_LOADERS, values.loaders, "Which loader machines of an architecture are sent; the table `[loaders]`, below."
    )
    database: str | None = setting(
        None, values.text, "The database's URL; by default an SQLite file in the data directory."
    )
    interface: tuple[Interface, ...] = ()
    subnet: tuple[Subnet, ...] = ()
    reservation: tuple[Reservation, ...] = ()
    http: HttpSettings = HttpSettings()
    tftp: TftpSettings = TftpSettings()
    clients: ClientSettings = ClientSettings()
    boot: BootSettings = BootSettings()
    exports: ExportSettings = ExportSettings()
    images: ImageSettings = ImageSettings()
    events: EventSettings = EventSettings()
    profile: Mapping[str, Profile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.profile:
            _check_lineage(name, self.profile)
        names = [each.name for each in self.interface]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidInput(f"interface {min(twice)} is listed twice")
        for index, one in enumerate(self.subnet):
            for other in self.subnet[index + 1 :]:
                if one.network.overlaps(other.network):
                    raise InvalidInput(f"subnets {one.network} and {other.network} overlap")
        for each in self.reservation:
            self._check_reservation(each)
        for subnet in self.subnet:
            check_twice(self.reservations_of(subnet), str(subnet.network))

    def subnet_of(self, address: IPv4Address) -> Subnet | None:
        """The subnet that holds `address`, None when none of ours does."""
        return next((each for each in self.subnet if address in each.network), None)

    def reservations_of(self, subnet: Subnet) -> tuple[Reservation, ...]:
        """The reservations of the file in `subnet`."""
        return tuple(each for each in self.reservation if each.address in subnet.network)

    def check_lendable(self, address: IPv4Address) -> None:
        """Refuse an address that no client can have, whatever its subnet."""
        subnet = self.subnet_of(address)
        servers = {each.address for each in self.interface}
        if address in servers or (subnet is not None and int(address) in subnet.never_lent):
            raise InvalidInput(
                f"{address} cannot be reserved: it is a server's, the router's, or the network's own",
                hint="choose another address" + (f" of {subnet.network}" if subnet else ""),
            )

    def _check_reservation(self, reservation: Reservation) -> None:
        address = reservation.address
        subnet = self.subnet_of(address)
        if subnet is None:
            raise InvalidInput(
                f"the reservation of {address} is in no [[subnet]]",
                hint="correct its address, or add the subnet that holds it",
            )
        self.check_lendable(address)


def _check_lineage(name: str, profiles: Mapping[str, Profile]) -> None:
    """Refuse a profile that inherits from one that is not there, or in the end from itself."""
    line = [name]
    while (parent := profiles[line[-1]].inherits) is not None:
        if parent not in profiles:
            raise InvalidInput(
                f"profile.{line[-1]}.inherits names {parent}, which is no profile",
                hint=f"write [profile.{parent}], or take one that is there: {', '.join(sorted(profiles))}",
            )
        if parent in line:
            raise InvalidInput(
                f"profile {parent} inherits from itself: {' from '.join([*line[line.index(parent) :], parent])}",
                hint=f"take the setting inherits out of [profile.{line[-1]}]",
            )
        line.append(parent)
