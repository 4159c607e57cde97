"""A client: one diskless machine, and what its admin wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef


class RootMode(StrEnum):
    """How a client gets its root."""

    NFS = "nfs"


class LoaderChoice(StrEnum):
    """Which loader family a client is sent; `auto` follows the table of firmwares."""

    AUTO = "auto"
    IPXE = "ipxe"
    PXELINUX = "pxelinux"
    GRUB = "grub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A machine that the admin has named.

    `image` is what it boots, None while nothing is assigned.  `address` reserves an IPv4 address.
    `shell` allows a root shell on its console when the root cannot be mounted.
    """

    mac: MacAddress
    name: str
    image: VersionRef | None = None
    root: RootMode = RootMode.NFS
    loader: LoaderChoice = LoaderChoice.AUTO
    address: IPv4Address | None = None
    kernel_args: tuple[str, ...] = ()
    shell: bool = False
    created_at: float = 0.0
