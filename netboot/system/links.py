"""Network links, addresses and namespaces: the only door to pyroute2.

Callers say what shall exist (`bridge`, `tap`, `veth`, an address); netlink's error codes become `NetbootError`s
that name the link and the fix.  Whatever is made here lives in the network namespace of the calling process, or
in the named one that `Links` was opened on.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyroute2 import IPRoute, NetNS, netns  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError  # type: ignore[import-untyped]

from netboot.errors import Conflict, NetbootError, NotPermitted, Unavailable

IFF_UP = 0x1
_TRIES = 5

# Where `ip netns` and pyroute2 keep named namespaces.
NAMESPACES = Path("/run/netns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface as it is now.  `addresses` are its IPv4 addresses with prefix, first one first."""

    index: int
    name: str
    mac: bytes
    up: bool
    mtu: int
    addresses: tuple[IPv4Interface, ...]

    @property
    def address(self) -> IPv4Address | None:
        return self.addresses[0].ip if self.addresses else None


class Links:
    """A netlink connection, used with `with`.  `namespace` names one made by `create_namespace`."""

    def __init__(self, namespace: str | None = None) -> None:
        # NetNS is an IPRoute whose socket was opened in another namespace; pyroute2 has no types for it.
        self._route: Any = IPRoute() if namespace is None else NetNS(namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._route.close()

    def names(self) -> tuple[str, ...]:
        """The names of all interfaces."""
        return tuple(each.get("ifname") for each in self._route.get_links())

    def list(self) -> tuple[Link, ...]:
        """Every interface, the loopback among them, as they were at one moment."""
        for _ in range(_TRIES):
            with suppress(NetlinkDumpInterrupted):  # something changed while it was told
                return self._list()
        raise Unavailable("the interfaces change too fast to be read", hint="see what changes them: ip monitor")

    def _list(self) -> tuple[Link, ...]:
        addresses: dict[int, list[IPv4Interface]] = {}
        for each in self._route.get_addr(family=_AF_INET):
            addresses.setdefault(each["index"], []).append(_address(each))
        return tuple(_link(each, addresses.get(each["index"], ())) for each in self._route.get_links())

    def find(self, name: str) -> Link | None:
        """The interface called `name`, None when there is none."""
        index = self._index(name)
        return None if index is None else self._read(index)

    def get(self, name: str) -> Link:
        """The interface called `name`; `Unavailable` lists those that exist."""
        if link := self.find(name):
            return link
        others = ", ".join(each for each in self.names() if each != "lo") or "none"
        raise Unavailable(f"there is no interface {name}", hint=f"interfaces here: {others}")

    def add_bridge(self, name: str) -> None:
        with _explained(name):
            self._route.link("add", ifname=name, kind="bridge")

    def add_tap(self, name: str) -> None:
        """A persistent tap, which a program then opens by its name; needs /dev/net/tun."""
        with _explained(name):
            self._route.link("add", ifname=name, kind="tuntap", mode="tap")

    def add_veth(self, name: str, *, peer: str, peer_namespace: str) -> None:
        """A cable: one end called `name` here, the other called `peer` in the named namespace."""
        with _explained(name):
            self._route.link("add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": peer_namespace})

    def attach(self, name: str, *, bridge: str) -> None:
        """Make `name` a port of `bridge`."""
        with _explained(name):
            self._route.link("set", index=self.get(name).index, master=self.get(bridge).index)

    def set_up(self, name: str) -> None:
        with _explained(name):
            self._route.link("set", index=self.get(name).index, state="up")

    def add_address(self, name: str, address: IPv4Interface | IPv6Interface) -> None:
        """Give `name` an address.  IPv6 ones are usable at once: nobody else is asked whether they are free."""
        flags = {"flags": _IFA_F_NODAD} if isinstance(address, IPv6Interface) else {}
        prefix = address.network.prefixlen
        with _explained(name):
            self._route.addr("add", index=self.get(name).index, address=str(address.ip), prefixlen=prefix, **flags)

    def remove(self, name: str) -> None:
        with _explained(name):
            self._route.link("del", index=self.get(name).index)

    def _index(self, name: str) -> int | None:
        found = self._route.link_lookup(ifname=name)
        return int(found[0]) if found else None

    def _read(self, index: int) -> Link:
        (link,) = self._route.get_links(index)
        return _link(link, [_address(each) for each in self._route.get_addr(index=index, family=_AF_INET)])


def _link(link: Any, addresses: Iterable[IPv4Interface]) -> Link:
    return Link(
        index=link["index"],
        name=link.get("ifname"),
        mac=bytes.fromhex((link.get("address") or "").replace(":", "")),
        up=bool(link["flags"] & IFF_UP),
        mtu=int(link.get("mtu")),
        addresses=tuple(addresses),
    )


def _address(address: Any) -> IPv4Interface:
    return IPv4Interface(f"{address.get('local') or address.get('address')}/{address['prefixlen']}")


_AF_INET = 2
_IFA_F_NODAD = 0x02  # <linux/if_addr.h>


def create_namespace(name: str) -> None:
    """A network namespace with a name under /run/netns, which lives until `remove_namespace` or until /run goes."""
    if (NAMESPACES / name).exists():  # pyroute2 would leave sockets open when it fails
        raise Conflict(f"there is a network namespace {name} already", hint=f"remove it: ip netns delete {name}")
    with _explained(name):
        netns.create(name)


def remove_namespace(name: str) -> None:
    with _explained(name):
        netns.remove(name)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what netlink says about `name` into an error for people."""
    try:
        yield
    except NetlinkError as error:
        raise _error(name, error.code) from error
    except OSError as error:
        raise _error(name, error.errno or 0) from error


def _error(name: str, code: int) -> NetbootError:
    match code:
        case errno.EPERM | errno.EACCES:
            return NotPermitted(f"{name} may not be changed", hint="run as root, or with CAP_NET_ADMIN")
        case errno.EEXIST:
            return Conflict(f"{name} exists already", hint=f"remove it: ip link delete {name}")
        case errno.EOPNOTSUPP | errno.ENODEV | errno.ENOENT:
            return Unavailable(
                f"the kernel could not make or find {name}",
                hint="it needs the modules bridge, tun and veth: modprobe -a bridge tun veth",
            )
        case _:
            return Unavailable(f"the kernel refused {name}: {errno.errorcode.get(code, code)}")
