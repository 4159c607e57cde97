"""Who needs versions of images, gathered from all that knows: tags, clients, their boots, drafts, the configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import assert_never

from netboot.boot.running import TELLING, versions_running
from netboot.cli.place import Place
from netboot.config import Config, UnknownPolicy
from netboot.errors import Conflict, NotFound
from netboot.exports.disk_files import DiskFiles
from netboot.images.draft import Drafts
from netboot.images.garbage import stock_of
from netboot.images.holders import Holder, HolderKind, Wants, holders_of
from netboot.model.root import Persistence

# Of one boot three events tell which version it was sent.
_MOST_EVENTS = 2**31 - 1


def place_by(place: Place, config: Config | None) -> Place:
    """With the database of the configuration, unless the command line names one."""
    if config is None or place.database_url:
        return place
    return dataclasses.replace(place, database_url=config.database)


def wants_of(place: Place, config: Config | None) -> Wants:
    """Everybody who refers to versions now."""
    # The database takes half a second to load, which commands that ask nobody shall not wait for.
    from netboot.store import ClientRepository, EventRepository
    from netboot.store.events import EventFilter

    store = place.images
    unknown = config.clients.unknown if config else None
    held = [each for each in DiskFiles(place.data.clients).list() if each.persistence is Persistence.KEEP]
    wants = Wants(
        tags={name: store.tags(name) for name in store.names()},
        unknown_clients=unknown.image if unknown and unknown.policy is UnknownPolicy.IMAGE else None,
        drafts=[(each.name, each.note.parent) for each in Drafts(place.data.images).list()],
        disks=[(str(each.mac), each.label) for each in held],
    )
    try:
        with place.database() as engine:
            clients = ClientRepository(engine).list()
            sent = EventRepository(engine).newest(_MOST_EVENTS, only=EventFilter(kinds=TELLING))
    except NotFound:
        return wants  # no client was ever added here
    names = {each.mac: each.name for each in clients}
    return dataclasses.replace(
        wants,
        assigned=[(each.name, each.image) for each in clients if each.image],
        disks=[(names.get(each.mac, str(each.mac)), each.label) for each in held],
        running=[(names.get(mac, str(mac)), label) for mac, label in versions_running(sent).items()],
    )


def holders(place: Place, config: Config | None) -> dict[str, tuple[Holder, ...]]:
    """Who holds each version now."""
    store = place.images
    return holders_of(stock_of(store, store.list()), wants_of(place, config))


def check_free(
    labels: Sequence[str],
    held: Mapping[str, Sequence[Holder]],
    *,
    ignored: frozenset[HolderKind] = frozenset(),
    free: Collection[str] = (),
) -> None:
    """`Conflict` says who holds any of these versions.

    They do not hold their parents among each other, nor do the children that are `free` or holders that are `ignored`.
    """
    for label in labels:
        in_the_way = [
            each
            for each in held.get(label, ())
            if each.kind not in ignored and not (each.kind is HolderKind.CHILD and each.name in (*labels, *free))
        ]
        if in_the_way:
            raise Conflict(f"{label} is needed: {'; '.join(map(str, in_the_way))}", hint=_remedy(label, in_the_way[0]))


def _remedy(label: str, holder: Holder) -> str:
    image = label.partition(":")[0]
    match holder.kind:
        case HolderKind.NEWEST:
            return f"publish another version first, or remove the whole image: netboot image rm {image} --all"
        case HolderKind.TAG | HolderKind.ROLLBACK:
            return f"move the tag, or take it away: netboot image tag {image} {holder.name} --remove"
        case HolderKind.CLIENT:
            return f"assign it to another: netboot client set {holder.name} --image {image}"
        case HolderKind.UNKNOWN_CLIENTS:
            return "change clients.unknown in the daemon's configuration"
        case HolderKind.RUNNING:
            return "boot it into another version first, which netboot client list shows"
        case HolderKind.DRAFT:
            return f"commit it, or throw it away: netboot image discard {holder.name}"
        case HolderKind.DISK:
            return f"remove it, with what is on it: netboot client disk remove {holder.name} --version {label}"
        case HolderKind.CHILD:
            return "name that one too, or add --make-whole to store it whole first"
    assert_never(holder.kind)
