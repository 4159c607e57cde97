"""A client's volume: one ext4 file system in a file, which holds what the client keeps, and no more than fits into it.

Each client has a file system of its own, so no file handle that a client makes up leads into another's.  The file is
sparse: it takes what is in it.  It grows when its setting grows, and is never made smaller.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from netboot.errors import NetbootError, Unavailable
from netboot.system.commands import run
from netboot.system.loop import attached, find_loop
from netboot.system.mounts import mount_for_client, mounted, mounts, unmount

FSTYPE = "ext4"
# e2fsck(8): 0 is clean, 1 mended.
_MENDED = 1


def make_volume(file: Path, size_bytes: int) -> None:
    """A new, empty volume; whole or not at all.  Raises `Unavailable`."""
    half = file.with_name(f".{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with half.open("wb") as made:
            os.fchmod(made.fileno(), 0o600)
            made.truncate(size_bytes)
        # Nothing is set aside for root: on its own volume a client is root.
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-U", str(uuid.uuid4()), half])
        half.replace(file)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise Unavailable(f"{file} cannot be made: {error.strerror}", hint="run as root on a disk with room") from error


def is_mounted(file: Path, place: Path) -> bool:
    """Whether it is this volume that is mounted at `place`."""
    device, there = find_loop(file), mounted(place)
    return device is not None and there is not None and there.source == str(device)


def mount_volume(file: Path, place: Path, size_bytes: int) -> None:
    """Mount a volume at `place`, where it is not yet, checked and grown to its size.

    Raises `Unavailable` when it is damaged; then it is left as it is.
    """
    _leave(file, place)
    _check(file)
    if grows(file, size_bytes):
        os.truncate(file, size_bytes)
        # Without a whole check resize2fs does not touch what is not mounted; what is mounted, not every root may grow.
        _check(file, "-f")
        run(["resize2fs", file], timeout_s=None)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with attached(file, writable=True) as device:
        mount_for_client(device, place, fstype=FSTYPE)


def grows(file: Path, size_bytes: int) -> bool:
    """Whether a volume is smaller than it shall be."""
    return file.stat().st_size < size_bytes


def unmount_volume(place: Path) -> None:
    """Unmount what is there, if anything is; with its last user, if an NFS server still holds it."""
    while mounted(place) is not None:
        try:
            unmount(place)
        except NetbootError:
            unmount(place, lazy=True)


def _leave(file: Path, place: Path) -> None:
    """Nothing else is mounted where a volume shall be, nor the volume elsewhere: two mounts would destroy it."""
    unmount_volume(place)
    device = find_loop(file)
    for mount in mounts() if device else ():
        if mount.source == str(device):
            unmount_volume(mount.target)
    if find_loop(file) is not None:
        raise Unavailable(f"{device} is still in use, so {file} cannot be mounted", hint="losetup --list shows it")


def _check(file: Path, *options: str) -> None:
    done = run(["e2fsck", "-p", *options, file], check=False, timeout_s=None)
    if done.exit_code > _MENDED:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise Unavailable(
            f"{file} is damaged: {said[-1] if said else f'e2fsck ended with {done.exit_code}'}",
            hint=f"save a copy of it, then e2fsck -f {file}",
        )
