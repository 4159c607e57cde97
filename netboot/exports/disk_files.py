"""The files of clients' own disks, below a folder with one for each client: found, made, taken away.

`MAC/disks/` has a file a disk, for root alone, and a note beside it: which initiator it is for, and when it was made,
by which a disk that nobody has written to is told.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import InvalidInput
from netboot.exports.own_disk import OwnDisk, disk_for, parse_disk
from netboot.images.copies import cloned, copied
from netboot.images.documents import Fields, check_fields, parse_object
from netboot.images.files import is_new, names_in, new_name, replace_text, sync, unwritten
from netboot.images.publish import check_space
from netboot.model.mac import MacAddress
from netboot.model.root import Persistence
from netboot.model.target import ImageTarget
from netboot.system.commands import run

log = logging.getLogger(__name__)

_FOLDER = "disks"
_MODE = 0o600
_FIELDS: Fields = {"initiator": (str,), "made_ns": (int,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What stands beside a disk: whose it is to log in to, and the time of its file's last change when it was made."""

    initiator: str
    made_ns: int


class DiskFiles:
    """The files below `clients`.  Every method blocks; what fails is a `NetbootError`."""

    def __init__(self, clients: Path) -> None:
        self._clients = clients.resolve()

    def list(self) -> Iterator[OwnDisk]:
        """All disks of all clients."""
        for name in sorted(names_in(self._clients)):
            with suppress(InvalidInput):
                yield from self.of(MacAddress.parse(name))

    def of(self, mac: MacAddress) -> Iterator[OwnDisk]:
        """One client's."""
        for name in sorted(names_in(self._folder(mac))):
            if disk := parse_disk(mac, name):
                yield disk

    def file(self, disk: OwnDisk) -> Path:
        return self._folder(disk.mac) / disk.file_name

    def note(self, disk: OwnDisk) -> Note | None:
        """None where there is none that can be read: then nobody knows whether it was written to."""
        try:
            value = parse_object(self._note(disk).read_text(encoding="utf-8"))
            check_fields(value, _FIELDS)
        except (OSError, InvalidInput):
            return None
        return Note(**value)

    def touched(self, disks: Iterable[OwnDisk]) -> frozenset[OwnDisk]:
        """Those made for a boot that their client may have written to."""
        return frozenset(each for each in disks if each.generation and self._is_touched(each))

    def for_boot(self, image: ImageTarget) -> OwnDisk:
        """The disk that a boot of `image`, which wants one, would get now; it may be yet to be made."""
        version, mac = image.version, image.mac
        generation = int(image.persistent is Persistence.RESET)
        wanted = OwnDisk(mac=mac, image=version.image, number=version.number, generation=generation)
        there = list(self.of(mac))
        return disk_for(wanted, there, touched=self.touched(there))

    def make(self, disk: OwnDisk, origin: Path) -> None:
        """A new disk, as a version's root is, the file `origin`; on the server's disk when it returns, or not there."""
        folder, file = self._folder(disk.mac), self.file(disk)
        new = new_name(file)
        started = time.monotonic()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in folder.iterdir():
                if is_new(left.name):
                    left.unlink()
            is_cloned = _fill(new, origin)
            if disk.persistence is Persistence.KEEP:
                # Versions have no journal, as nobody writes to them; what is kept shall be whole after a power cut.
                run(["tune2fs", "-j", new])
            sync(new)
            new.replace(file)
            sync(folder)
        except OSError as error:
            raise unwritten(folder, error) from error
        finally:
            new.unlink(missing_ok=True)
        how = "sharing the version's blocks" if is_cloned else "as a copy, since this file system cannot share blocks"
        log.info("made the disk %s of client %s in %.1f s, %s", disk.stem, disk.mac, time.monotonic() - started, how)

    def admit(self, disk: OwnDisk, initiator: str) -> None:
        """Remember who may log in to a disk; the first time also that nobody did yet."""
        known = self.note(disk)
        if known is not None and known.initiator == initiator:
            return
        made_ns = known.made_ns if known else self.file(disk).stat().st_mtime_ns
        replace_text(self._note(disk), json.dumps({"initiator": initiator, "made_ns": made_ns}) + "\n")

    def remove(self, disk: OwnDisk) -> None:
        """Remove a disk for good; what a server still has open lives until it lets go."""
        self.file(disk).unlink(missing_ok=True)
        self._note(disk).unlink(missing_ok=True)
        with suppress(OSError):  # others are beside it
            self._folder(disk.mac).rmdir()

    def _is_touched(self, disk: OwnDisk) -> bool:
        note = self.note(disk)
        try:
            return note is None or self.file(disk).stat().st_mtime_ns != note.made_ns
        except FileNotFoundError:
            return True

    def _folder(self, mac: MacAddress) -> Path:
        return self._clients / mac.dashed / _FOLDER

    def _note(self, disk: OwnDisk) -> Path:
        return self._folder(disk.mac) / f"{disk.stem}.json"


def _fill(new: Path, origin: Path) -> bool:
    """The cheapest copy that can be had; whether it shares the blocks of the original."""
    if cloned(origin, new, mode=_MODE):
        return True
    check_space(new.parent, origin.stat().st_blocks * 512)
    with copied(origin, new, mode=_MODE):
        return False
