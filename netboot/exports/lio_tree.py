"""What LIO, the kernel's iSCSI target, says of itself in configfs.

Read directly: rtslib walks all of the tree for many a question, and the tree may hold hundreds of targets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from netboot.exports.targets import PORT, Chap, Initiator, Lun, Observed, Target
from netboot.model.iscsi import AUTHORITY

CONFIGFS = Path("/sys/kernel/config")
SYS_BLOCK = Path("/sys/block")

TPG = "tpgt_1"

_DEVICE = re.compile(r"UDEV PATH: (\S+)\s+readonly: ([01])")
_ALL_ADDRESSES = ("0.0.0.0", "[::0]", "[::]")  # noqa: S104
_NOBODY = "No active"
_UNSET = "NULL"


class LioTree:
    """Our part of the tree: targets whose names are of our authority and whose disks' names begin with `prefix`."""

    def __init__(self, prefix: str, *, configfs: Path = CONFIGFS, sys_block: Path = SYS_BLOCK) -> None:
        self._prefix = prefix
        self._sys_block = sys_block
        self.path = configfs / "target"
        self.targets = self.path / "iscsi"
        self.backstores = self.path / "core"

    def names(self) -> list[str]:
        """All names of our authority, though another installation's may be among them."""
        return sorted(name for name in _names(self.targets) if name.startswith(f"{AUTHORITY}:"))

    def shared_portal(self) -> str | None:
        """The portal of another's target that listens at all addresses: no other can listen at any of them."""
        others = (name for name in _names(self.targets) if not name.startswith(f"{AUTHORITY}:"))
        for folder in (portal for name in others for portal in (self.targets / name).glob("tpgt_*/np/*:*")):
            address, _, port = folder.name.rpartition(":")
            if address in _ALL_ADDRESSES and port == str(PORT):
                return address
        return None

    def observed(self, name: str, *, shared: bool = False) -> Observed | None:
        """A target; None when there is none of this name, or another's.  Portals say nothing when they are `shared`."""
        tpg = self.targets / name / TPG
        try:
            disks = self.disks(name)
            if not self._are_ours(disks.values()):
                return None
            initiators = tuple(self._initiator(each) for each in sorted((tpg / "acls").iterdir()))
            portals = sorted(_addresses(tpg / "np"))
            luns = tuple(self._lun(number, disk) for number, disk in sorted(disks.items()))
            users = frozenset(self._users(tpg))
        except OSError:
            # Half made: it has no disks that could be anybody's.
            half = Observed(target=Target(name=name, luns=(), networks=None, portals=()))
            return half if self._is_half(name) else None
        listens = None if shared else tuple(portals)
        target = Target(name=name, luns=luns, networks=None, portals=listens, initiators=initiators)
        return Observed(target=target, users=users)

    def disks(self, name: str) -> dict[int, Path]:
        """The backstores of a target, by LUN; those without one are left out."""
        found = {}
        folder = f"{self.targets}/{name}/{TPG}/lun"
        for lun in os.listdir(folder):  # noqa: PTH208 - as below
            with os.scandir(f"{folder}/{lun}") as entries:
                # The link's way up is the same for all, and to have it resolved takes a question a folder.
                links = [os.readlink(entry) for entry in entries if entry.is_symlink()]  # noqa: PTH115
            for link in links:
                store = Path(link)
                found[int(lun.removeprefix("lun_"))] = self.backstores / store.parent.name / store.name
        return found

    def stores(self) -> list[Path]:
        """All our backstores."""
        return list(self.backstores.glob(f"*_*/{self._prefix}*"))

    def orphans(self) -> Iterator[Path]:
        """Our backstores that no target has."""
        used = {disk for name in self.names() for disk in self._disks_of(name)}
        yield from (store for store in self.stores() if store not in used)

    def free_index(self) -> int:
        """A number that no backstore has, of whatever kind; the rest of LIO's tools number them so."""
        found = (name.rpartition("_")[2] for name in _names(self.backstores))
        return max((int(each) for each in found if each.isdigit()), default=-1) + 1

    def _are_ours(self, disks: Iterable[Path]) -> bool:
        return all(disk.name.startswith(self._prefix) for disk in disks)

    def _disks_of(self, name: str) -> list[Path]:
        try:
            return list(self.disks(name).values())
        except OSError:
            return []

    def _is_half(self, name: str) -> bool:
        return (self.targets / name).is_dir() and not self._disks_of(name)

    def _lun(self, number: int, store: Path) -> Lun:
        found = _DEVICE.search((store / "info").read_text())
        device, read_only = found.groups() if found else ("", "1")
        return Lun(number=number, path=self._file_of(Path(device)), writable=read_only == "0")

    def _file_of(self, device: Path) -> Path:
        """The file behind a loop device; any other device is what it is."""
        with suppress(OSError):
            return Path((self._sys_block / device.name / "loop/backing_file").read_text().rstrip("\n"))
        return device

    def _initiator(self, acl: Path) -> Initiator:
        user, secret = ((acl / "auth" / name).read_text().strip() for name in ("userid", "password"))
        proved = user not in ("", _UNSET) and secret not in ("", _UNSET)
        return Initiator(name=acl.name, chap=Chap(user=user, secret=secret) if proved else None)

    def _users(self, tpg: Path) -> Iterator[str]:
        """Who is logged in, whether it is listed or not."""
        yield from (tpg / "dynamic_sessions").read_text().replace("\0", "\n").split()
        for acl in (tpg / "acls").iterdir():
            if not (acl / "info").read_text().startswith(_NOBODY):
                yield acl.name


def _names(folder: Path) -> list[str]:
    """What is in a folder, be it hundreds of targets, none of which is to become a `Path`."""
    try:
        return os.listdir(folder)  # noqa: PTH208
    except FileNotFoundError:
        return []


def _addresses(portals: Path) -> Iterator[IPv4Address]:
    """The addresses where it listens; one with another port, or of another family, is none that we made."""
    for each in portals.iterdir():
        address, _, port = each.name.rpartition(":")
        with suppress(ValueError):
            if int(port) == PORT:
                yield IPv4Address(address)
