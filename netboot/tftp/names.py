"""What a TFTP name means to netboot: a client's configuration or kernel, a loader, or a file of the operator's own.

Configurations are rendered when asked for, from the same choice that DHCP and HTTP make, and stay the same for
half a minute for each client: GRUB and EDK2 ask for the size first and read afterwards (rule 4.33).
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from netboot.boot.artefacts import SENT, artefact, bootable_version
from netboot.boot.script import ScriptContext, ScriptKind
from netboot.errors import InvalidInput
from netboot.model.event import Detail, EventKind
from netboot.model.mac import MacAddress
from netboot.model.request import ANY_ARCH, BootRequest, Firmware, Stage
from netboot.model.target import BootTarget, DeniedTarget
from netboot.tftp.content import BootFile, Meaning, Missing
from netboot.tftp.static import StaticFiles, components, refusal

_DASHED = r"(?P<mac>[0-9a-f]{2}(?:-[0-9a-f]{2}){5})"
_MAC = rf"01-{_DASHED}"

# PXELINUX looks in its own directory (rule 6.12), GRUB in its prefix (6.17).  The names without an address are
# what a signed GRUB asks (6.18) and PXELINUX asks last: who is meant is then told by the sender's address.
_SCRIPTS: tuple[tuple[re.Pattern[str], ScriptKind], ...] = (
    (re.compile(rf"(?:[\w.-]+/)*pxelinux\.cfg/(?:{_MAC}|default)", re.ASCII | re.IGNORECASE), ScriptKind.PXELINUX),
    (re.compile(rf"(?:[\w.-]+/)*grub\.cfg(?:-{_MAC})?", re.ASCII | re.IGNORECASE), ScriptKind.GRUB),
)

# What `artefact_path` writes, for GRUB, whose signed build knows no HTTP.
_FILE = "|".join(map(re.escape, SENT))
_ARTEFACT = re.compile(rf"boot/{_DASHED}/(?P<image>[^/]+)/(?P<number>[0-9]+)/(?P<file>{_FILE})")

_STABLE_S = 30.0
# Twice the clients of a large site; more than that would be someone guessing names.
_KEPT_MAX = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaborators:
    """Who answers what.  All are called on the TFTP thread and must be quick and safe to call from there.

    `context` gives what scripts print besides the target, for a client at this address.
    """

    choose: Callable[[BootRequest], BootTarget]
    render: Callable[[ScriptKind, BootTarget, ScriptContext], str]
    context: Callable[[IPv4Address], ScriptContext]
    find_loader: Callable[[str], Path | None]
    owner_of: Callable[[IPv4Address], MacAddress | None]


class BootNames:
    """The FileSource of the daemon.  `roots` are the operator's folders, asked last, in order."""

    def __init__(
        self,
        ask: Collaborators,
        *,
        roots: Sequence[StaticFiles] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._roots = tuple(roots)
        self._clock = clock
        self._kept: OrderedDict[tuple[IPv4Address, str], tuple[float, BootFile]] = OrderedDict()

    def open(self, name: bytes, peer: IPv4Address) -> BootFile | Missing:
        plain = _plain(name)
        if plain is not None and (script := self._script(plain, peer)) is not None:
            return script
        if plain is not None and (path := self._ask.find_loader(plain)) is not None:
            return _file(path, Meaning(kind=EventKind.LOADER_SENT))
        if plain is not None and (match := _ARTEFACT.fullmatch(plain)):
            return self._artefact(match, peer)
        return self._own_file(name)

    def _own_file(self, name: bytes) -> BootFile | Missing:
        found: BootFile | Missing = refusal(name)
        for root in self._roots:
            found = root.open(name)
            if isinstance(found, BootFile):
                break
        return found

    def _script(self, name: str, peer: IPv4Address) -> BootFile | None:
        """The rendered configuration, None when the name is none or nobody knows whose it would be."""
        for pattern, kind in _SCRIPTS:
            if match := pattern.fullmatch(name):
                mac = self._whose(match.group("mac"), peer)
                return None if mac is None else self._stable(kind, mac, (peer, name))
        return None

    def _artefact(self, match: re.Match[str], peer: IPv4Address) -> BootFile | Missing:
        """A kernel or initrd of what the client in the name boots; its script came first and had the root exported."""
        mac = MacAddress.parse(match["mac"])
        target = self._ask.choose(_asker(mac, Firmware.UNKNOWN, peer))
        version = bootable_version(target, f"{match['image']}:{match['number']}")
        if version is None:
            return Missing()
        file = match["file"]
        details: dict[str, Detail] = {"file": file, "version": version.label}
        return _file(artefact(version, file).path, Meaning(kind=SENT[file], mac=mac, details=details))

    def _whose(self, mac: str | None, peer: IPv4Address) -> MacAddress | None:
        if mac is None:
            return self._ask.owner_of(peer)
        try:
            return MacAddress.parse(mac)
        except InvalidInput:
            return None

    def _stable(self, kind: ScriptKind, mac: MacAddress, key: tuple[IPv4Address, str]) -> BootFile:
        now = self._clock()
        until, kept = self._kept.get(key, (now, None))
        if kept is not None and now < until:
            return kept
        fresh = self._render(kind, mac, key[0])
        self._kept[key] = (now + _STABLE_S, fresh)
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return fresh

    def _render(self, kind: ScriptKind, mac: MacAddress, peer: IPv4Address) -> BootFile:
        firmware = Firmware.BIOS if kind is ScriptKind.PXELINUX else Firmware.UNKNOWN
        target = self._ask.choose(_asker(mac, firmware, peer))
        text = self._ask.render(kind, target, self._ask.context(peer)).encode()
        return BootFile(content=text, size=len(text), meaning=_meaning(kind, target))


def _asker(mac: MacAddress, firmware: Firmware, peer: IPv4Address) -> BootRequest:
    return BootRequest(mac=mac, stage=Stage.LOADER, firmware=firmware, arch=ANY_ARCH, http=True, address=peer)


def _file(path: Path, meaning: Meaning) -> BootFile | Missing:
    """A file of ours, which may be a symbolic link (Debian's packages have some)."""
    path = path.resolve()
    return StaticFiles(path.parent, meaning=meaning).open(bytes(path.name, "utf-8"))


def _meaning(kind: ScriptKind, target: BootTarget) -> Meaning:
    if isinstance(target, DeniedTarget):
        return Meaning(kind=EventKind.DENIED, mac=target.mac, details={"reason": target.reason, "hint": target.hint})
    return Meaning(kind=EventKind.SCRIPT_SENT, mac=target.mac, details={"loader": str(kind)})


def _plain(name: bytes) -> str | None:
    """The name as our own names are spelt: ASCII, no leading slash; None for anything else."""
    parts = components(name.rstrip(b"\xff "))
    if parts is None:
        return None
    joined = b"/".join(parts)
    return joined.decode() if joined.isascii() else None
