"""What the data directory has of each client's own: looked at, moved to another network card, removed.

A daemon that serves from there notices a removed or moved volume by itself, and lets go of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netboot.config.paths import DataDir
from netboot.errors import Conflict, InvalidInput, NotFound
from netboot.exports.disk_files import DiskFiles
from netboot.model.mac import MacAddress
from netboot.personal.hostkeys import SSH
from netboot.personal.volumes import VOLUME, place_of_volume
from netboot.system.mounts import mounted

_GONE = ".removed-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """One client's: `size_bytes` is what it can keep, `taken_bytes` what that takes here, None without a volume."""

    mac: MacAddress
    has_keys: bool
    size_bytes: int | None
    taken_bytes: int | None
    is_mounted: bool


def belongings(data: DataDir) -> tuple[Belongings, ...]:
    """All of them, by MAC address."""
    found = []
    for folder in sorted(data.clients.glob("*")):
        try:
            mac = MacAddress.parse(folder.name)
        except InvalidInput:
            continue
        found.append(_look(data, mac, folder))
    return tuple(found)


def remove(data: DataDir, mac: MacAddress, *, forced: bool) -> Belongings:
    """Remove what is a client's own for good.  `Conflict` while its volume is mounted, unless it is `forced`.

    Also while it has disks of its own, which are removed one by one.
    """
    folder = data.clients / mac.dashed
    if not folder.is_dir():
        raise NotFound(f"nothing is kept of {mac}", hint="netboot client data list shows all")
    if any(DiskFiles(data.clients).of(mac)):
        raise Conflict(
            f"{mac} has disks of its own, and may be running from one",
            hint=f"remove these first: netboot client disk remove {mac}",
        )
    gone = _look(data, mac, folder)
    if gone.is_mounted and not forced:
        raise Conflict(
            f"what {mac} keeps is mounted, so it may be running",
            hint="switch it off first, then use --force: a running client would lose its files",
        )
    # By another name at once, so that no half of it is ever sent.
    half = folder.with_name(f"{_GONE}{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    folder.rename(half)
    shutil.rmtree(half)
    return gone


@contextmanager
def moved_belongings(data: DataDir, old: MacAddress, new: MacAddress) -> Iterator[None]:
    """Give what is a client's own to its new network card, unless the block fails.

    `Conflict` when that one has something already.
    """
    source, target = data.clients / old.dashed, data.clients / new.dashed
    if old == new or not source.is_dir():
        yield
        return
    if target.exists():
        raise Conflict(
            f"something is kept of {new} already",
            hint=f"remove one of the two: netboot client data remove {new}, or netboot client data remove {old}",
        )
    source.rename(target)
    try:
        yield
    except BaseException:
        target.rename(source)
        raise


def _look(data: DataDir, mac: MacAddress, folder: Path) -> Belongings:
    volume = folder / VOLUME
    status = volume.stat() if volume.exists() else None
    return Belongings(
        mac=mac,
        has_keys=(folder / SSH).is_dir(),
        size_bytes=status.st_size if status else None,
        taken_bytes=status.st_blocks * 512 if status else None,
        is_mounted=mounted(place_of_volume(data.exports, mac)) is not None,
    )
