"""Which iSCSI targets there are, which there shall be, and the steps from one to the other.

What others made on the same server never appears here: a backend observes its own targets only.  What clients run from
is never taken from them: a target with sessions stays, and so does an initiator's permission while it is logged in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from netboot.errors import InvalidInput

PORT = 3260

# RFC 3720 section 3.2.6.3.1, as far as names are made here: lower case, in the characters that need no preparation.
_NAME = re.compile(r"iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(?::[a-z0-9.:-]+)?")
_LONGEST_NAME = 223

# RFC 3720 section 8.2.1 wants 96 bits at least where there is no IPsec.  tgt divides its requests by commas; LIO takes
# words that begin with NULL for none.
_CHAP_USER = re.compile(r"(?!NULL)[!-+\--~]{1,128}")
_CHAP_SECRET = re.compile(r"(?!NULL)[!-+\--~]{12,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chap:
    """What an initiator proves itself by.  The secret is shown nowhere, not even in tracebacks."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiator:
    """An initiator that may log in; with `chap` None by its name alone."""

    name: str
    chap: Chap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lun:
    """A disk of a target: the bytes of the file, or block device, `path`, which no symbolic link leads to."""

    number: int
    path: Path
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target with its disks, by number.

    Who may log in: with `initiators` those alone; without, everybody in `networks` who asks at `portals`.  A backend
    that cannot tell networks, or portals, observes None for them, which is as good as what is desired.
    """

    name: str
    luns: tuple[Lun, ...]
    networks: tuple[IPv4Network, ...] | None = ()
    portals: tuple[IPv4Address, ...] | None = (IPv4Address("0.0.0.0"),)  # noqa: S104 - all of the server's
    initiators: tuple[Initiator, ...] = ()

    def serial(self, lun: Lun) -> str:
        """By what initiators know the disk again: 32 hex digits, the same on every server and after every restart."""
        return sha256(f"{self.name},{lun.number}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A target as it is, and the names of the initiators that are logged in."""

    target: Target
    users: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Remove:
    target: Target


@dataclass(frozen=True, slots=True)
class Add:
    target: Target


@dataclass(frozen=True, slots=True)
class Change:
    """The same disks for others, or by other secrets; nobody who is logged in notices."""

    before: Target
    after: Target

    @property
    def expel(self) -> tuple[Initiator, ...]:
        return tuple(sorted(set(self.before.initiators) - set(self.after.initiators), key=_by_name))

    @property
    def admit(self) -> tuple[Initiator, ...]:
        """New initiators, and those that prove themselves otherwise now: these are among `expel` too."""
        return tuple(sorted(set(self.after.initiators) - set(self.before.initiators), key=_by_name))


Step = Remove | Add | Change


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """The steps in their order, and what stays though it is not desired, because clients run from it."""

    steps: tuple[Step, ...] = ()
    kept: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


def check(target: Target) -> None:
    """Raises `InvalidInput` for what no backend can take.  What is observed may have been made by anybody."""
    for name in (target.name, *(each.name for each in target.initiators)):
        if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
            raise InvalidInput(
                f"{name!r} is no iSCSI name",
                hint="write iqn.YEAR-MONTH.DOMAIN:NAME in lower case, at most 223 characters",
            )
    for chap in (each.chap for each in target.initiators if each.chap):
        if not _CHAP_USER.fullmatch(chap.user):
            raise InvalidInput(
                f"{chap.user!r} cannot be a CHAP user's name",
                hint="use up to 128 letters, digits and marks, without blanks and commas",
            )
        if not _CHAP_SECRET.fullmatch(chap.secret):
            raise InvalidInput(
                f"the CHAP secret of {chap.user} cannot be used",
                hint="use 12 to 128 letters, digits and marks, without blanks and commas, not beginning with NULL",
            )


def make_plan(desired: Iterable[Target], observed: Iterable[Observed]) -> TargetPlan:
    """The steps that turn what is `observed` into what is `desired`, as far as clients let us; then it is empty.

    Raises `InvalidInput` for what is desired and no backend can take.
    """
    wanted = {each.name: each for each in desired}
    for target in wanted.values():
        check(target)
    there = {each.target.name: each for each in observed}
    removals: list[Step] = []
    changes: list[Step] = []
    additions: list[Step] = [Add(wanted[name]) for name in sorted(wanted.keys() - there.keys())]
    kept: list[str] = []
    for name, seen in sorted(there.items()):
        new = wanted.get(name)
        if new is not None and new.luns == seen.target.luns:
            change = Change(seen.target, _without_loss(new, seen))
            kept += [f"{each.name} at {name}" for each in _stay(new, seen)]
            if not _same(change):
                changes.append(change)
        elif seen.users:
            kept.append(name)
        else:
            removals.append(Remove(seen.target))
            additions += [Add(new)] if new is not None else []
    return TargetPlan(steps=(*removals, *changes, *additions), kept=tuple(kept))


def describe(plan: TargetPlan) -> Iterator[str]:
    """A line a step, for people; no secret is in them."""
    for step in plan.steps:
        match step:
            case Remove(target):
                yield f"remove target {target.name}"
            case Add(target):
                yield f"add target {target.name} for {_whom(target)}"
                yield from (_disk(each) for each in target.luns)
            case Change(before, after):
                yield f"change target {after.name}"
                gone = {each.name for each in step.expel} - {each.name for each in step.admit}
                yield from (f"  refuse {name}" for name in sorted(gone))
                yield from (f"  admit {_who(each)}" for each in step.admit)
                if _whom(before) != _whom(after) and not after.initiators:
                    yield f"  serve {_whom(after)}"
                if before.portals is not None and before.portals != after.portals:
                    yield f"  listen at {_listed(after.portals or ())}"
    yield from (f"keep {each}, since clients run from it" for each in plan.kept)


def _without_loss(target: Target, seen: Observed) -> Target:
    """What is desired, with what those need who are logged in, and None where nothing can be told."""
    there = seen.target
    return Target(
        name=target.name,
        luns=target.luns,
        networks=None if there.networks is None else target.networks,
        portals=None if there.portals is None else target.portals,
        initiators=tuple(sorted((*target.initiators, *_stay(target, seen)), key=_by_name)),
    )


def _stay(target: Target, seen: Observed) -> list[Initiator]:
    """The initiators that are logged in and may not be any more.  A target for everybody keeps no list."""
    may = {each.name for each in target.initiators}
    return [each for each in seen.target.initiators if may and each.name in seen.users and each.name not in may]


def _same(change: Change) -> bool:
    before, after = change.before, change.after
    if change.expel or change.admit or _as_set(before.portals) != _as_set(after.portals):
        return False
    # Networks tell nothing while initiators are listed.
    return bool(after.initiators) or _as_set(before.networks) == _as_set(after.networks)


def _as_set(listed: Iterable[object] | None) -> frozenset[object] | None:
    return None if listed is None else frozenset(listed)


def _by_name(initiator: Initiator) -> str:
    return initiator.name


def _whom(target: Target) -> str:
    if target.initiators:
        return _listed(_who(each) for each in target.initiators)
    return _listed(target.networks) if target.networks else "everybody"


def _who(initiator: Initiator) -> str:
    return f"{initiator.name} by secret" if initiator.chap else initiator.name


def _disk(lun: Lun) -> str:
    return f"  LUN {lun.number}: {lun.path}, {'writable' if lun.writable else 'read-only'}"


def _listed(each: Iterable[object]) -> str:
    return ", ".join(map(str, each))
