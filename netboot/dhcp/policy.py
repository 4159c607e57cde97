"""Everything that an answer depends on besides the packet and the time, frozen.

The server asks for a fresh policy with every batch of packets, so that a reload takes effect at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from netboot.boot.choose import BootPolicy
from netboot.config import DhcpMode, Subnet
from netboot.dhcp.leases import LeaseBook, LeaseView
from netboot.model.mac import MacAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one interface is served.

    `server` is our address there: option 54, the TFTP server and the host of URLs.  `also_known_as` are other
    addresses of ours that a client may name us by.  `subnet` is None where we lend no addresses.
    `reservations` holds every address that an admin reserved, for whom.  `authoritative` says that nobody else
    lends addresses here, so that a client with a foreign one may be told so; else we are silent.
    `leases` is filled in by the server.
    """

    mode: DhcpMode
    interface: str
    server: IPv4Address
    http_port: int
    boot: BootPolicy
    subnet: Subnet | None = None
    also_known_as: frozenset[IPv4Address] = frozenset()
    reservations: Mapping[IPv4Address, MacAddress] = field(default_factory=dict)
    authoritative: bool = True
    mtu: int = 1500
    leases: LeaseView = field(default_factory=LeaseBook)
