"""A client: one diskless machine, and what its admin wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.model.loader import Loader, LoaderChoice
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.san import SanUri
from netboot.model.strategy import Strategy
from netboot.model.wishes import NO_WISHES, Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A machine that the admin has named.

    `image` is what it boots, None while nothing is assigned, and `san` a disk with a loader of its own, which goes
    before it.  `profiles` are bundles of settings in the configuration, of which a later one wins over an earlier one,
    and what is said here wins over all: `loader` unless it is `auto`, `shell` if it is true, and `kernel_args` come
    after theirs.  `address` reserves an IPv4 address.
    `shell` allows a root shell on its console when the root cannot be mounted.  `strategy` is how its firmware is
    told what to boot, None while that follows what machines of its make have taught.  `wishes` are what
    profiles and the configuration may say as well.
    """

    mac: MacAddress
    name: str
    image: VersionRef | None = None
    profiles: tuple[str, ...] = ()
    loader: Loader = LoaderChoice.AUTO
    address: IPv4Address | None = None
    kernel_args: tuple[str, ...] = ()
    shell: bool = False
    created_at: float = 0.0
    strategy: Strategy | None = None
    wishes: Wishes = NO_WISHES
    san: SanUri | None = None
