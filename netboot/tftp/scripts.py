"""The names under which loaders ask for a configuration: in which language, and whose.

A table of patterns, tried in order.  Some names have the client's MAC address in them; for the others the sender's
address tells whose configuration is meant.  Names that would say something else, as another address or a UUID, are
none of ours, and loaders go on to their next guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.boot.script import ScriptKind
from netboot.errors import InvalidInput
from netboot.model.mac import MacAddress

DASHED = r"(?P<mac>[0-9a-f]{2}(?:-[0-9a-f]{2}){5})"
_MAC = rf"01-{DASHED}"
_FOLDERS = r"(?:[\w.-]+/)"

_PATTERNS: tuple[tuple[str, ScriptKind], ...] = (
    # U-Boot's own names, the most particular first (rule 6.23): architecture, system on chip and board.
    (rf"{_FOLDERS}*pxelinux\.cfg/default-[\w-]+", ScriptKind.UBOOT),
    # PXELINUX looks beside itself (6.12), and is sent from a folder of ours.  At the root is U-Boot, whose boot file
    # is `UBOOT_SCRIPT`, or a PXELINUX of somebody else's, which can read what U-Boot is told.
    (rf"pxelinux\.cfg/(?:{_MAC}|(?P<address>[0-9a-f]{{8}})|default)", ScriptKind.UBOOT),
    (_MAC, ScriptKind.UBOOT),
    # What boards look for first of all: told to search as above, they need nobody to type it.
    (rf"{_FOLDERS}*boot\.scr\.uimg", ScriptKind.UBOOT_SEARCH),
    (rf"{_FOLDERS}+pxelinux\.cfg/(?:{_MAC}|default)", ScriptKind.PXELINUX),
    # GRUB looks in its prefix (6.17); a signed one asks for the name without an address (6.18).
    (rf"{_FOLDERS}*grub\.cfg(?:-{_MAC})?", ScriptKind.GRUB),
    # iPXE for UEFI tries this beside itself and at the root before it asks anybody (2.19).
    (rf"{_FOLDERS}*autoexec\.ipxe", ScriptKind.IPXE),
)
_SCRIPTS = tuple((re.compile(pattern, re.ASCII | re.IGNORECASE), kind) for pattern, kind in _PATTERNS)


@dataclass(frozen=True, slots=True)
class ScriptName:
    """A script is asked for; `mac` None means that of whoever asks."""

    kind: ScriptKind
    mac: MacAddress | None = None


def script_name(name: str, peer: IPv4Address) -> ScriptName | None:
    """What a name asks for when `peer` asks for it, None when that is no script."""
    for pattern, kind in _SCRIPTS:
        if match := pattern.fullmatch(name):
            return _asked(kind, match.groupdict(), peer)
    return None


def _asked(kind: ScriptKind, said: dict[str, str | None], peer: IPv4Address) -> ScriptName | None:
    if (address := said.get("address")) is not None and int(address, 16) != int(peer):
        return None
    if (mac := said.get("mac")) is None:
        return ScriptName(kind)
    try:
        return ScriptName(kind, MacAddress.parse(mac))
    except InvalidInput:
        return None
