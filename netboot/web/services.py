"""The collaborators of the boot listener, and what its handlers are called with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from netboot.boot.script import ScriptContext, ScriptKind
from netboot.errors import InvalidInput
from netboot.model.event import Event
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import ANY_ARCH, BootRequest, Firmware, Stage
from netboot.model.root import RootPlace
from netboot.model.target import BootTarget, ImageTarget
from netboot.web.fresh import Fresh
from netboot.web.rate import Buckets
from netboot.web.refusal import Refused
from netboot.web.request import Request

# The port when a Host header names none.
_HTTP_PORT = 80
_HOST = re.compile(r"(?P<address>[0-9.]{7,15})(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootServices:
    """Who answers what.  All but `export` and `own_data` are called on the event loop and must return at once.

    `export` makes sure that a client's root is exported and gives its place; it raises a
    `NetbootError` when it cannot.  `owner_of` tells whose lease an address is, None when nobody's.
    `own_data` gives the archive with what is a client's own, to the address that asks, at one of ours; it raises
    `NotPermitted` when that is not the client's, and other `NetbootError`s when it cannot.  `clock` gives Unix seconds.
    """

    choose: Callable[[BootRequest], BootTarget]
    render: Callable[[ScriptKind, BootTarget, ScriptContext], str]
    export: Callable[[ImageTarget], Awaitable[RootPlace]]
    record: Callable[[Event], None]
    find_version: Callable[[VersionRef], Version | None]
    find_loader: Callable[[str], Path | None]
    own_data: Callable[[ImageTarget, IPv4Address, IPv4Address], Awaitable[bytes]]
    owner_of: Callable[[IPv4Address], MacAddress | None]
    clock: Callable[[], float]


Permit = tuple[MacAddress, Version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a handler: from whom, and to which address and port of ours.

    `names` are the parts of the path that the route has names for; `buckets` count the reports of each client;
    `permits` are who may have which version, by what stands in a path.
    """

    request: Request
    names: Mapping[str, str]
    peer: IPv4Address
    own: tuple[IPv4Address, int]
    services: BootServices
    buckets: Buckets
    permits: Fresh[tuple[str, str, str], Permit]

    @property
    def is_get(self) -> bool:
        return self.request.method == "GET"


def client_of(call: Call) -> MacAddress:
    """The MAC address in the path.  Raises 400."""
    try:
        return MacAddress.parse(call.names["mac"])
    except InvalidInput as error:
        raise Refused(400, f"{error.message}\n") from error


def boot_request(call: Call, mac: MacAddress, *, firmware: Firmware) -> BootRequest:
    return BootRequest(
        mac=mac,
        stage=Stage.LOADER,
        firmware=firmware,
        arch=ANY_ARCH,
        http=True,
        address=call.peer,
    )


def own_address(call: Call) -> tuple[IPv4Address, int]:
    """Where the client reached us: what it put in Host when that is an address, as behind a forwarded port,
    else the socket's own.  A name is not used: a kernel line needs an address."""
    return _address_in(call.request.headers.get("host", "")) or call.own


@lru_cache(maxsize=64)
def _address_in(host: str) -> tuple[IPv4Address, int] | None:
    """Nearly all clients write the same."""
    if match := _HOST.fullmatch(host):
        try:
            return IPv4Address(match["address"]), int(match["port"] or _HTTP_PORT)
        except AddressValueError:
            pass
    return None
