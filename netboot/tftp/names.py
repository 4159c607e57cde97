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
from typing import TypeVar

from netboot.boot.artefacts import SENT, artefact, fetchable
from netboot.boot.san import in_language
from netboot.boot.script import ScriptContext, ScriptKind
from netboot.errors import InvalidInput, NetbootError
from netboot.model.event import Detail, EventKind
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, SanTarget
from netboot.tftp.content import BootFile, Meaning, Missing
from netboot.tftp.pi import ARTEFACTS, TEXTS, PiName, pi_name
from netboot.tftp.scripts import DASHED, ScriptName, script_name
from netboot.tftp.static import StaticFiles, components, refusal
from netboot.tftp.uimage import script_image

# What `artefact_path` writes, for GRUB, whose signed build knows no HTTP, and for U-Boot.
_FILE = "|".join(map(re.escape, SENT))
_ARTEFACT = re.compile(rf"boot/{DASHED}/(?P<image>[^/]+)/(?P<number>[1-9][0-9]{{0,8}})/(?P<file>{_FILE})")

_FIRMWARE = {ScriptKind.PXELINUX: Firmware.BIOS, ScriptKind.IPXE: Firmware.IPXE, ScriptKind.UBOOT: Firmware.UBOOT}

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

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
    find_version: Callable[[VersionRef], Version | None]
    find_loader: Callable[[str], Path | None]
    find_pi: Callable[[str], Path | None]
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
        self._boards: OrderedDict[MacAddress, tuple[float, ImageTarget]] = OrderedDict()

    def open(self, name: bytes, peer: IPv4Address) -> BootFile | Missing:
        plain = _plain(name)
        if plain is None:
            return self._own_file(name)
        for ask in (self._script, self._loader, self._artefact, self._raspberry_pi):
            if (found := ask(plain, peer)) is not None:
                return found
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
        asked = script_name(name, peer)
        mac = self._whose(asked, peer)
        if asked is None or mac is None:
            return None
        return self._stable((peer, name), lambda: self._render(asked.kind, self._target(asked.kind, mac, peer), peer))

    def _loader(self, name: str, _: IPv4Address) -> BootFile | Missing | None:
        path = self._ask.find_loader(name)
        return None if path is None else _file(path, Meaning(kind=EventKind.LOADER_SENT))

    def _artefact(self, name: str, peer: IPv4Address) -> BootFile | Missing | None:
        """A kernel or initrd of what the client in the name boots; its script came first and had the root exported."""
        match = _ARTEFACT.fullmatch(name)
        if match is None:
            return None
        try:
            mac = MacAddress.parse(match["mac"])
        except InvalidInput:  # a group address
            return Missing()
        target = self._ask.choose(_asker(mac, Firmware.UNKNOWN, peer))
        try:
            version = fetchable(target, VersionRef(match["image"], int(match["number"])), self._ask.find_version)
        except NetbootError:
            return Missing()
        return Missing() if version is None else _version_file(version, match["file"], mac)

    def _raspberry_pi(self, name: str, peer: IPv4Address) -> BootFile | Missing | None:
        """A file of a board; None when it is no board's name, or nobody knows whose, or that one boots nothing."""
        asked = pi_name(name)
        mac = self._whose(asked, peer)
        if asked is None or mac is None:
            return None
        target = self._board_target(mac, peer)
        return self._of_board(asked, target, peer, name) if isinstance(target, ImageTarget) else None

    def _board_target(self, mac: MacAddress, peer: IPv4Address) -> BootTarget:
        """What a board boots, the same for all files of one boot: their names do not say of which version they are."""
        now = self._clock()
        until, kept = self._boards.get(mac, (now, None))
        if kept is None or now >= until:
            pi = Firmware.RASPBERRY_PI
            asker = BootRequest(mac=mac, stage=Stage.FIRMWARE, firmware=pi, arch=Arch.RASPBERRY_PI, address=peer)
            target = self._ask.choose(asker)
            if not isinstance(target, ImageTarget):
                return target
            kept = target
        _keep(self._boards, mac, (now + _STABLE_S, kept))
        return kept

    def _of_board(self, asked: PiName, target: ImageTarget, peer: IPv4Address, name: str) -> BootFile | Missing | None:
        if (kind := TEXTS.get(asked.file)) is not None:
            return self._stable((peer, name), lambda: self._render(kind, target, peer))
        if asked.file in ARTEFACTS:
            return _version_file(target.version, asked.file, target.mac)
        path = self._ask.find_pi(asked.file)
        if path is None:
            return None
        return _file(path, Meaning(kind=EventKind.LOADER_SENT, mac=target.mac) if asked.is_program else None)

    def _whose(self, asked: ScriptName | PiName | None, peer: IPv4Address) -> MacAddress | None:
        """The client that the name has in it, else whose address asks."""
        return None if asked is None else asked.mac or self._ask.owner_of(peer)

    def _stable(self, key: tuple[IPv4Address, str], render: Callable[[], BootFile]) -> BootFile:
        now = self._clock()
        until, kept = self._kept.get(key, (now, None))
        if kept is not None and now < until:
            return kept
        fresh = render()
        _keep(self._kept, key, (now + _STABLE_S, fresh))
        return fresh

    def _target(self, kind: ScriptKind, mac: MacAddress, peer: IPv4Address) -> BootTarget:
        chosen = self._ask.choose(_asker(mac, _FIRMWARE.get(kind, Firmware.UNKNOWN), peer))
        return in_language(kind, chosen)

    def _render(self, kind: ScriptKind, target: BootTarget, peer: IPv4Address) -> BootFile:
        text = self._ask.render(kind, target, self._ask.context(peer)).encode()
        if kind is ScriptKind.UBOOT_SEARCH:
            text = script_image(text, "netboot")
        return BootFile(content=text, size=len(text), meaning=_meaning(kind, target))


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Remember the newest `_KEPT_MAX`."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _KEPT_MAX:
        kept.popitem(last=False)


def _asker(mac: MacAddress, firmware: Firmware, peer: IPv4Address) -> BootRequest:
    return BootRequest(mac=mac, stage=Stage.LOADER, firmware=firmware, arch=ANY_ARCH, http=True, address=peer)


def _version_file(version: Version, file: str, mac: MacAddress) -> BootFile | Missing:
    details: dict[str, Detail] = {"file": file, "version": version.label}
    return _file(artefact(version, file).path, Meaning(kind=SENT[file], mac=mac, details=details))


def _file(path: Path, meaning: Meaning | None) -> BootFile | Missing:
    """A file of ours, which may be a symbolic link (Debian's packages have some)."""
    path = path.resolve()
    return StaticFiles(path.parent, meaning=meaning).open(bytes(path.name, "utf-8"))


def _meaning(kind: ScriptKind, target: BootTarget) -> Meaning | None:
    if kind in (ScriptKind.PI_CMDLINE, ScriptKind.UBOOT_SEARCH):
        return None  # the script is another: config.txt came before it, or pxelinux.cfg/ is still to come
    if isinstance(target, DeniedTarget):
        return Meaning(kind=EventKind.DENIED, mac=target.mac, details={"reason": target.reason, "hint": target.hint})
    details: dict[str, Detail] = {"loader": str(kind)}
    if isinstance(target, SanTarget):
        details["san"] = str(target.san)
    return Meaning(kind=EventKind.SCRIPT_SENT, mac=target.mac, details=details)


def _plain(name: bytes) -> str | None:
    """The name as our own names are spelt: ASCII, no leading slash; None for anything else."""
    parts = components(name.rstrip(b"\xff "))
    if parts is None:
        return None
    joined = b"/".join(parts)
    return joined.decode() if joined.isascii() else None
