"""What is exported, what shall be, and the steps from one to the other.

The unit is a grant: one directory for one network.  So a network added to an export touches no other client's, and
what others exported on this machine never appears here: a backend observes its own grants only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from netboot.errors import InvalidInput
from netboot.model.image import Version
from netboot.model.root import RootForm

# A path goes into configuration files and onto kernel lines, neither of which can quote.
_SAFE_PATH = re.compile(r"/[A-Za-z0-9/._+@-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A directory for these networks: one form of a version, or one client's own data, which alone is writable.

    `label` says whose, as IMAGE:NUMBER, and `path` is what clients mount.

    `fsid` names the file system in file handles: it differs between exports, and outlives restarts.
    """

    label: str
    path: Path
    networks: tuple[IPv4Network, ...]
    fsid: str
    writable: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """`network` may mount `path`, read-only unless it is `writable`."""

    path: Path
    network: IPv4Network
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The grants to take away and to give, each sorted; empty when all is as desired."""

    withdraw: tuple[Grant, ...] = ()
    give: tuple[Grant, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.withdraw or self.give)


def make_plan(desired: Iterable[Export], observed: Iterable[Grant]) -> Plan:
    """The steps that turn what is `observed` into what is `desired`; planned again afterwards, it is empty."""
    wanted, there = set(grants(desired)), set(observed)
    return Plan(withdraw=tuple(sorted(there - wanted)), give=tuple(sorted(wanted - there)))


def describe(plan: Plan) -> Iterator[str]:
    """A line a step, for people."""
    yield from (f"withdraw {grant.path} from {grant.network}" for grant in plan.withdraw)
    for grant in plan.give:
        yield f"export {grant.path} to {grant.network}" + (", writable" if grant.writable else "")


def grants(exports: Iterable[Export]) -> tuple[Grant, ...]:
    return tuple(Grant(each.path, network, each.writable) for each in exports for network in each.networks)


def export_of(version: Version, form: RootForm, *, root: Path, networks: tuple[IPv4Network, ...]) -> Export:
    """A form of a version as an export below `root`.  Its id comes from its digest, so every server gives the same."""
    digits = version.digest.hex
    if form.format is not None:
        digits = hashlib.sha256(f"{digits} {form.format}".encode()).hexdigest()
    return Export(
        label=version.label,
        path=root / version.image / (f"{version.number}.{form.format}" if form.format else str(version.number)),
        networks=networks,
        fsid=f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}",
    )


def check_root(root: Path) -> None:
    """Raises `InvalidInput` when no export can lie below `root`."""
    if not root.is_absolute() or not _SAFE_PATH.fullmatch(str(root)):
        raise InvalidInput(
            f"{root} cannot hold exports, since neither kernel lines nor NFS servers can quote it",
            hint="take a data directory of letters, digits and . _ + @ - only",
        )
