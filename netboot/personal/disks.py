"""The disks that clients have of their own: looked at, and removed.

A daemon that serves from there notices a removed disk by itself, and lets go of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import Conflict, NotFound
from netboot.exports.disk_files import DiskFiles
from netboot.exports.own_disk import OwnDisk
from netboot.model.mac import MacAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskState:
    """A disk: `size_bytes` is what it can take, `taken_bytes` what it does, with what it shares with its version.

    `is_used` tells that its client is logged in.
    """

    disk: OwnDisk
    size_bytes: int
    taken_bytes: int
    is_used: bool


def disk_states(clients: Path, users_of: Callable[[Iterable[str]], frozenset[str]]) -> Sequence[DiskState]:
    """All disks below `clients`; `users_of` gives those of these targets that somebody is logged in at."""
    files = DiskFiles(clients)
    disks = list(files.list())
    used = users_of([each.target_name for each in disks])
    found = []
    for disk in disks:
        try:
            status = files.file(disk).stat()
        except FileNotFoundError:
            continue
        found.append(
            DiskState(
                disk=disk,
                size_bytes=status.st_size,
                taken_bytes=status.st_blocks * 512,
                is_used=disk.target_name in used,
            )
        )
    return found


def remove_disks(
    clients: Path, mac: MacAddress, users_of: Callable[[Iterable[str]], frozenset[str]], *, version: str | None = None
) -> Sequence[DiskState]:
    """Remove a client's disks for good, or those over one version; what they were.

    `Conflict` while it is logged in at one of them; then all stay.
    """
    going = [
        each for each in disk_states(clients, users_of) if each.disk.mac == mac and version in (None, each.disk.label)
    ]
    if not going:
        of = f" over {version}" if version else ""
        raise NotFound(f"{mac} has no disk{of}", hint="netboot client disk list shows all")
    for each in going:
        if each.is_used:
            raise Conflict(f"{mac} is logged in at its disk {each.disk.stem}", hint="switch it off first")
    files = DiskFiles(clients)
    for each in going:
        files.remove(each.disk)
    return going
