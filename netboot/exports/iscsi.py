"""What an iSCSI server must be able to do for us, and a version as a target of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from netboot.exports.targets import PORT, Lun, Observed, Target, TargetPlan
from netboot.model.image import Version
from netboot.model.iscsi import AUTHORITY
from netboot.model.root import RootFiles, RootFormat

EVERYWHERE = (IPv4Address("0.0.0.0"),)  # noqa: S104 - whom a target is for, its networks or initiators say


class IscsiBackend(Protocol):
    """One iSCSI server.  Every call may block; none is made by two threads at once.

    The first disk of a target has the number `first_lun`.
    """

    name: str
    first_lun: int

    def prepare(self) -> None:
        """See that the server can serve, before there is anything to; raises `Unavailable` with what is in the way."""
        ...

    def observe(self, only: Collection[str] | None = None) -> Sequence[Observed]:
        """Our targets as they are; with `only`, those of these names, which takes no longer however many there are."""
        ...

    def carry_out(self, plan: TargetPlan) -> None:
        """Make it so, and return when initiators can log in.  Starts the server if need be."""
        ...

    def keep_up(self) -> bool:
        """Start the server again if it died, with no targets; whether it had."""
        ...

    def stop(self) -> bool:
        """Take all of ours away, as far as nobody is logged in; end the server if it is ours.  Whether none is left."""
        ...


def version_target(
    version: Version,
    form: RootFormat,
    files: RootFiles,
    *,
    first_lun: int,
    networks: tuple[IPv4Network, ...],
    portals: tuple[IPv4Address, ...] = EVERYWHERE,
) -> Target:
    """A version's root in one form as a target: its file, and as the next disk its dm-verity tree if it has one."""
    paths = (files.path,) if files.tree is None else (files.path, files.tree)
    return Target(
        name=f"{AUTHORITY}:{version.image}.{version.number}.{form}",
        luns=tuple(Lun(number=first_lun + index, path=path) for index, path in enumerate(paths)),
        networks=networks,
        portals=portals,
    )


def place_of(target: Target) -> str:
    """What stands after iscsi:SERVER: on a kernel line: RFC 4173's PROTOCOL:PORT:LUN:NAME, by TCP."""
    return f":{PORT}:{target.luns[0].number}:{target.name}"
