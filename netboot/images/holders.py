"""Who needs a version: nobody may remove what somebody holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from netboot.images.tags import Tags
from netboot.model.names import VersionRef


class HolderKind(StrEnum):
    NEWEST = "newest"
    TAG = "tag"
    ROLLBACK = "rollback"
    CLIENT = "client"
    UNKNOWN_CLIENTS = "unknown-clients"
    RUNNING = "running"
    DRAFT = "draft"
    DISK = "disk"
    CHILD = "child"


_WORDS: Mapping[HolderKind, str] = {
    HolderKind.NEWEST: "it is the newest version",
    HolderKind.TAG: "tag {name} stands at it",
    HolderKind.ROLLBACK: "rolling back tag {name} leads to it",
    HolderKind.CLIENT: "client {name} is assigned to it",
    HolderKind.UNKNOWN_CLIENTS: "unknown clients boot it",
    HolderKind.RUNNING: "client {name} runs it",
    HolderKind.DRAFT: "draft {name} changes it",
    HolderKind.DISK: "client {name} keeps a disk over it",
    HolderKind.CHILD: "{name} is stored as changes to it",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who needs a version: what kind of somebody, and which."""

    kind: HolderKind
    name: str = ""

    def __str__(self) -> str:
        return _WORDS[self.kind].format(name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """A version as far as keeping it goes.

    `parent` is None when it was stored whole; `has_root` says that its root is there, `root_in_use` that it is mounted,
    `has_derived` that something is derived of it and not mounted.
    """

    image: str
    number: int
    parent: int | None = None
    has_root: bool = True
    root_in_use: bool = False
    has_derived: bool = False

    @property
    def label(self) -> str:
        return f"{self.image}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """Everybody who refers to versions.  Pairs begin with a name: of a client, or of a draft.

    `disks` are those that clients have of their own.
    """

    tags: Mapping[str, Tags] = field(default_factory=dict)
    assigned: Sequence[tuple[str, VersionRef]] = ()
    unknown_clients: VersionRef | None = None
    running: Sequence[tuple[str, str]] = ()
    drafts: Sequence[tuple[str, str]] = ()
    disks: Sequence[tuple[str, str]] = ()


def holders_of(stock: Iterable[Stock], wants: Wants) -> dict[str, tuple[Holder, ...]]:
    """Who holds each version, by its label; nobody holds what is absent from `stock`."""
    versions = sorted(stock, key=lambda each: (each.image, each.number))
    found: dict[str, list[Holder]] = {each.label: [] for each in versions}
    numbers: dict[str, list[int]] = {}
    for each in versions:
        numbers.setdefault(each.image, []).append(each.number)

    def hold(label: str | None, kind: HolderKind, name: str = "") -> None:
        if label in found:
            found[label].append(Holder(kind, name))

    def label_of(ref: VersionRef) -> str | None:
        number = wants.tags.get(ref.image, Tags()).resolve(ref.selector, numbers.get(ref.image, ()))
        return f"{ref.image}:{number}" if number is not None else None

    for image, there in numbers.items():
        hold(f"{image}:{there[-1]}", HolderKind.NEWEST)
        tags = wants.tags.get(image, Tags())
        for tag, number in tags.current.items():
            hold(f"{image}:{number}", HolderKind.TAG, tag)
            hold(f"{image}:{tags.previous(tag)}", HolderKind.ROLLBACK, tag)
    for name, ref in wants.assigned:
        hold(label_of(ref), HolderKind.CLIENT, name)
    if wants.unknown_clients is not None:
        hold(label_of(wants.unknown_clients), HolderKind.UNKNOWN_CLIENTS)
    for name, label in wants.running:
        hold(label, HolderKind.RUNNING, name)
    for name, label in wants.drafts:
        hold(label, HolderKind.DRAFT, name)
    for name, label in wants.disks:
        hold(label, HolderKind.DISK, name)
    for each in versions:
        if each.parent is not None:
            hold(f"{each.image}:{each.parent}", HolderKind.CHILD, each.label)
    return {label: tuple(holders) for label, holders in found.items()}
