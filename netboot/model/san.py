"""Disks of other servers that bring their own boot loader, by the URI that iPXE boots from.

The form is RFC 4173's, `iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET`, less its IPv6 addresses.  A name of RFC 3720 is made of
lower-case letters, digits and `.-:`; makers of storage use capitals and underscores as well, and compare them, so a
target is kept as it was typed.  No part can be a second word or an expansion in a script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Self

from netboot.errors import InvalidInput

DEFAULT_PORT = 3260
FORM = "iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET"
EXAMPLE = "iscsi:10.9.0.2::::iqn.2010-04.org.example:disk7"
_WITH_LUN = "iscsi:10.9.0.2:::1:iqn.2010-04.org.example:disk7"

# RFC 3720 section 3.2.6.1: names have at most 223 bytes; RFC 1035: those of hosts 253.
_TARGET_MAX, _HOST_MAX = 223, 253
_TARGET = re.compile(
    r"iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])\.[A-Za-z0-9][A-Za-z0-9._-]*(?::[A-Za-z0-9._:-]+)?"
    r"|eui\.[0-9A-Fa-f]{16}"
    r"|naa\.(?:[0-9A-Fa-f]{16}){1,2}"
)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
# RFC 4173 section 5: up to four groups of hexadecimal digits, the first of which tells disks of one target apart.
_LUN = re.compile(r"[0-9A-Fa-f]{1,4}(?:-[0-9A-Fa-f]{1,4}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SanUri:
    """One disk.  `server` is an IPv4 address or a host's name, `lun` hexadecimal as RFC 4173 writes it."""

    server: str
    target: str
    port: int = DEFAULT_PORT
    lun: str = "0"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `InvalidInput` that says which part is wrong."""
        scheme, *parts = text.split(":", 5)
        if scheme != "iscsi" or len(parts) != 5:
            raise _wrong(text, f"it is not written {FORM}")
        server, protocol, port, lun, target = parts
        if protocol not in ("", "6"):
            raise _wrong(text, f"the protocol {protocol!r} is not 6, which is TCP, and may be left empty")
        return cls(
            server=_server(text, server),
            target=_target(text, target),
            port=_port(text, port) if port else DEFAULT_PORT,
            lun=_lun(text, lun) if lun else "0",
        )

    def __str__(self) -> str:
        """What `parse` reads; what is as usual is left empty."""
        port = "" if self.port == DEFAULT_PORT else str(self.port)
        lun = "" if self.lun == "0" else self.lun
        return f"iscsi:{self.server}::{port}:{lun}:{self.target}"


def _server(text: str, server: str) -> str:
    if not re.fullmatch(r"[0-9.]+", server):
        if not _HOST.fullmatch(server) or len(server) > _HOST_MAX:
            raise _wrong(text, f"the server {server!r} is neither an IPv4 address nor a host's name in lower case")
        return server
    try:
        return str(IPv4Address(server))
    except ValueError:
        raise _wrong(text, f"the server {server!r} is no IPv4 address") from None


def _port(text: str, port: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise _wrong(text, f"the port {port!r} is no number from 1 to 65535")
    return int(port)


def _lun(text: str, lun: str) -> str:
    if not _LUN.fullmatch(lun):
        raise _wrong(text, f"the LUN {lun!r} is not hexadecimal, as 1 or 4752-3a4f-6b7e-2f99")
    groups = [f"{int(group, 16):x}" for group in lun.split("-")]
    while groups[1:] and groups[-1] == "0":
        groups.pop()
    return "-".join(groups)


def _target(text: str, target: str) -> str:
    if not _TARGET.fullmatch(target) or len(target) > _TARGET_MAX:
        raise _wrong(text, f"the target {target!r} is no name of iSCSI (iqn., eui. or naa.)")
    return target


def _wrong(text: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{text!r} names no iSCSI disk: {why}", hint=f"write it as {EXAMPLE}, or with a LUN as {_WITH_LUN}"
    )
