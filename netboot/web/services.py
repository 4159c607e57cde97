"""The collaborators of the boot listener, and the small things its handlers share."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from aiohttp import web

from netboot.boot.script import ScriptContext, ScriptKind
from netboot.errors import InvalidInput
from netboot.model.event import Event
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import ANY_ARCH, BootRequest, Firmware, Stage
from netboot.model.target import BootTarget

# aiohttp's port when a Host header names none.
_HTTP_PORT = 80
_HOST = re.compile(r"(?P<address>[0-9.]{7,15})(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootServices:
    """Who answers what.  All but `export` are called on the event loop and must return at once.

    `export` makes sure that a version's export is ready and gives its path on the server; it raises a
    `NetbootError` when it cannot.  `owner_of` tells whose lease an address is, None when nobody's.
    `clock` gives Unix seconds.
    """

    choose: Callable[[BootRequest], BootTarget]
    render: Callable[[ScriptKind, BootTarget, ScriptContext], str]
    export: Callable[[Version], Awaitable[str]]
    record: Callable[[Event], None]
    find_version: Callable[[VersionRef], Version | None]
    find_loader: Callable[[str], Path | None]
    owner_of: Callable[[IPv4Address], MacAddress | None]
    clock: Callable[[], float]


SERVICES = web.AppKey("services", BootServices)


def client_of(request: web.Request) -> MacAddress:
    """The MAC address in the path.  Raises 400."""
    try:
        return MacAddress.parse(request.match_info["mac"])
    except InvalidInput as error:
        raise web.HTTPBadRequest(text=f"{error.message}\n") from error


def boot_request(request: web.Request, mac: MacAddress, *, firmware: Firmware) -> BootRequest:
    return BootRequest(
        mac=mac,
        stage=Stage.LOADER,
        firmware=firmware,
        arch=ANY_ARCH,
        http=True,
        address=peer_of(request),
    )


def peer_of(request: web.Request) -> IPv4Address | None:
    try:
        return IPv4Address(request.remote or "")
    except AddressValueError:
        return None


def own_address(request: web.Request) -> tuple[IPv4Address, int]:
    """Where the client reached us: what it put in Host when that is an address, as behind a forwarded port,
    else the socket's own.  A name is not used: a kernel line needs an address."""
    if match := _HOST.fullmatch(request.headers.get("Host", "")):
        try:
            return IPv4Address(match["address"]), int(match["port"] or _HTTP_PORT)
        except AddressValueError:
            pass
    address, port = request.get_extra_info("sockname")[:2]
    return IPv4Address(address), int(port)
