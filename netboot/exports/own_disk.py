"""Clients' own disks: what each is called, which one a boot gets, and which have had their day.

A disk is one client's, over one version.  One that is kept is found again whenever the client boots that version; of
those that are made anew for each boot each has a number of its own, a *generation*, since a session of the boot before
may linger at the last one.  All that has to be known of a disk stands in its file's name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from netboot.exports.targets import Initiator, Lun, Target
from netboot.model.iscsi import AUTHORITY
from netboot.model.mac import MacAddress
from netboot.model.names import is_image_name
from netboot.model.root import Persistence

_NAME = re.compile(r"(?P<image>.+)\.(?P<number>[1-9]\d*)\.(?:keep|reset-(?P<generation>[1-9]\d*))\.ext4")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDisk:
    """A client's disk over a version; `generation` is 0 for one that is kept."""

    mac: MacAddress
    image: str
    number: int
    generation: int = 0

    @property
    def label(self) -> str:
        """The version's."""
        return f"{self.image}:{self.number}"

    @property
    def persistence(self) -> Persistence:
        return Persistence.RESET if self.generation else Persistence.KEEP

    @property
    def stem(self) -> str:
        kind = f"{self.persistence}-{self.generation}" if self.generation else f"{self.persistence}"
        return f"{self.image}.{self.number}.{kind}"

    @property
    def file_name(self) -> str:
        return f"{self.stem}.ext4"

    @property
    def target_name(self) -> str:
        """By MAC address, as a client can get another name while it runs.  No version's target ends so."""
        return f"{AUTHORITY}:{self.mac.octets.hex()}.{self.stem}"


def parse_disk(mac: MacAddress, file_name: str) -> OwnDisk | None:
    """The disk whose file has this name; None for what is no disk's."""
    found = _NAME.fullmatch(file_name)
    if found is None or not is_image_name(found["image"]):
        return None
    return OwnDisk(
        mac=mac,
        image=found["image"],
        number=int(found["number"]),
        generation=int(found["generation"] or 0),
    )


def disk_for(wanted: OwnDisk, disks: Iterable[OwnDisk], *, touched: Collection[OwnDisk]) -> OwnDisk:
    """The disk that a boot gets: one of its client's `disks`, or one that is to be made.

    `wanted` is one over the version, of generation 0 if it shall be kept, else of any.  Where it is made anew for each
    boot, the newest is as good as new until it is `touched`: a script that is fetched twice makes no second disk.
    """
    if wanted.persistence is Persistence.KEEP:
        return next((each for each in disks if each.stem == wanted.stem), wanted)
    made = sorted((each for each in disks if each.generation), key=lambda each: each.generation)
    if made and made[-1].label == wanted.label and made[-1] not in touched:
        return made[-1]
    return replace(wanted, generation=made[-1].generation + 1 if made else 1)


def outdated(disks: Iterable[OwnDisk], *, touched: Collection[OwnDisk]) -> Iterator[OwnDisk]:
    """Of one client's, those made for boots that are over: it has written to a newer one since.

    Who only has a newer one may be running from an older: anybody can fetch a client's script.
    """
    made = [each for each in disks if each.generation]
    last = max((each.generation for each in made if each in touched), default=0)
    yield from (each for each in made if each.generation < last)


def target_of(disk: OwnDisk, path: Path, initiator: Initiator, *, first_lun: int) -> Target:
    """A target with the disk alone, for its client alone."""
    return Target(
        name=disk.target_name,
        luns=(Lun(number=first_lun, path=path, writable=True),),
        initiators=(initiator,),
    )
