"""Clients' own disks as iSCSI targets, each for its client alone, by a secret.

A disk has its target for as long as it is there and a daemon lives, so whoever runs from one finds it again.  It goes
when somebody has removed its file, or when its client has booted from a newer one, and nobody is logged in any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from netboot.errors import NetbootError, NotFound, Unavailable
from netboot.exports.disk_files import DiskFiles
from netboot.exports.iscsi import place_of
from netboot.exports.own_disk import OwnDisk, outdated, target_of
from netboot.exports.target_server import TargetServer
from netboot.exports.targets import Chap, Initiator, Target
from netboot.model.image import Version
from netboot.model.iscsi import initiator_name
from netboot.model.mac import MacAddress
from netboot.model.root import RootPlace
from netboot.model.target import ImageTarget

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Served:
    """`inode` is the file's: one that was removed and made again is another disk."""

    target: Target
    inode: int


class OwnDisks:
    """Serves the disks below `clients`, a folder with one for each client.

    `root_of` gives the file of a version's root, `chap_of` what an initiator proves itself by.  Every method but
    `served` blocks; all may be called from any thread.
    """

    def __init__(
        self,
        server: TargetServer,
        *,
        clients: Path,
        root_of: Callable[[Version], Path],
        chap_of: Callable[[str], Chap],
    ) -> None:
        self._server = server
        self._files = DiskFiles(clients)
        self._root_of = root_of
        self._chap_of = chap_of
        self._served: dict[OwnDisk, _Served] = {}
        self._lock = threading.Lock()

    @property
    def targets(self) -> Sequence[Target]:
        """All of them."""
        return [each.target for each in self._served.values()]

    def restore(self) -> Iterator[NetbootError]:
        """Take up all disks that somebody could log in to before; why some cannot be.  The server is to be told."""
        with self._lock:
            for disk in self._files.list():
                if note := self._files.note(disk):
                    try:
                        self._served[disk] = self._made_ready(disk, note.initiator)
                    except NetbootError as error:
                        yield error

    def expected(self) -> Iterator[Target]:
        """The targets after `restore`; nothing is done."""
        for disk in self._files.list():
            if note := self._files.note(disk):
                yield self._target(disk, note.initiator)

    def ensure(self, image: ImageTarget) -> RootPlace:
        """The disk that this boot gets, made if need be; returns when its client can log in."""
        initiator = initiator_name(image.hostname)
        with self._lock:
            disk = self._files.for_boot(image)
            known = self._served.get(disk)
            if known is not None and known.inode != self._inode(disk) and not self._let_go(disk):
                raise Unavailable(
                    f"client {disk.mac} is logged in at a disk that was removed", hint="switch it off, then boot it"
                )
            if self._inode(disk) is None:
                self._files.make(disk, self._root_of(image.version))
            self._files.admit(disk, initiator)
            made = self._made_ready(disk, initiator)
            self._server.put([made.target])
            self._served[disk] = made
            return RootPlace(place_of(made.target))

    def served(self, image: ImageTarget) -> RootPlace | None:
        """Where the disk of this boot is, if its client can log in already.  Returns at once, unlike `ensure`."""
        disk = self._files.for_boot(image)
        known = self._served.get(disk)
        if known is None or known.inode != self._inode(disk) or not self._server.serves(known.target.name):
            return None
        if known.target.initiators[0].name != initiator_name(image.hostname):
            return None
        return RootPlace(place_of(known.target))

    def review(self) -> None:
        """Let go of disks that were removed, and remove those whose boots are over."""
        with self._lock:
            for disk, known in list(self._served.items()):
                if known.inode != self._inode(disk):
                    self._let_go(disk)
            for _, disks in groupby(sorted(self._served, key=_whose), _whose):
                own = list(disks)
                for disk in outdated(own, touched=self._files.touched(own)):
                    if self._let_go(disk):
                        self._files.remove(disk)
                        log.info("removed the disk %s of client %s, whose boot is over", disk.stem, disk.mac)

    def _let_go(self, disk: OwnDisk) -> bool:
        """Serve a disk no longer, unless its client is logged in; whether that is so."""
        if not self._server.drop(self._served[disk].target.name):
            return False
        del self._served[disk]
        return True

    def _inode(self, disk: OwnDisk) -> int | None:
        try:
            return self._files.file(disk).stat().st_ino
        except OSError:
            return None

    def _made_ready(self, disk: OwnDisk, initiator: str) -> _Served:
        inode = self._inode(disk)
        if inode is None:
            raise NotFound(f"the disk {disk.stem} of client {disk.mac} was removed meanwhile")
        return _Served(self._target(disk, initiator), inode)

    def _target(self, disk: OwnDisk, initiator: str) -> Target:
        admitted = Initiator(name=initiator, chap=self._chap_of(initiator))
        return target_of(disk, self._files.file(disk), admitted, first_lun=self._server.first_lun)


def _whose(disk: OwnDisk) -> MacAddress:
    return disk.mac
