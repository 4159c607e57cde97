"""Everything that an answer depends on besides the packet and the time, frozen.

The server asks for the policies of its interface with every batch of packets, so that a reload takes effect at once.
They are made when settings change, not with every packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from netboot.boot.choose import BootPolicy
from netboot.config import DhcpMode, Subnet
from netboot.dhcp.leases import LeaseBook, LeaseView
from netboot.dhcp.reserved import NOTHING_RESERVED, Reserved
from netboot.model.mac import MacAddress
from netboot.model.networks import NetworkTable
from netboot.model.strategy import Fingerprint, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one network is served on one interface.

    `server` is our address on the interface: option 54, the TFTP server and the host of URLs.  `also_known_as` are
    other addresses of ours, on whatever interface, that a client may name us by.  `subnet` is None where we lend no
    addresses.  `reservations` holds every address that an admin reserved for a MAC address, `fixed` those of the
    network that are reserved by what a packet says.  `authoritative` says that nobody else lends addresses there, so
    that a client with a foreign one may be told so; else we are silent.  `strategies` is what firmware has taught.
    `leases` is the network's book.
    """

    mode: DhcpMode
    interface: str
    server: IPv4Address
    http_port: int
    boot: BootPolicy
    subnet: Subnet | None = None
    also_known_as: frozenset[IPv4Address] = frozenset()
    reservations: Mapping[IPv4Address, MacAddress] = field(default_factory=dict)
    fixed: Reserved = NOTHING_RESERVED
    authoritative: bool = True
    mtu: int = 1500
    strategies: Mapping[tuple[DhcpMode, Fingerprint], Strategy] = field(default_factory=dict)
    leases: LeaseView = field(default_factory=LeaseBook)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """How one interface is served: its own network, and every network of ours that a relay may ask for there."""

    home: Policy
    networks: NetworkTable[Policy] = field(default_factory=NetworkTable)

    @property
    def modes(self) -> frozenset[DhcpMode]:
        """What is done here for anybody; the ports are closed when all is off."""
        return frozenset((self.home.mode, *(each.mode for each in self.networks.values())))

    @property
    def shares_port(self) -> bool:
        """Whether another DHCP server on this host may keep port 67: beside one is where a ProxyDHCP works."""
        return self.home.mode is DhcpMode.PROXY or DhcpMode.OWN not in self.modes
