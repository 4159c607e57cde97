"""What happened to an image: its publications and the moves of its tags, as one story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from netboot.images.manifest import Manifest
from netboot.images.tags import MoveKind, Tags


class Happening(StrEnum):
    PUBLISHED = "published"
    TAG_SET = "tag-set"
    TAG_ROLLED_BACK = "tag-rolled-back"
    TAG_REMOVED = "tag-removed"


_OF_MOVE = {
    MoveKind.SET: Happening.TAG_SET,
    MoveKind.ROLLED_BACK: Happening.TAG_ROLLED_BACK,
    MoveKind.REMOVED: Happening.TAG_REMOVED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened.

    `number` is the version that was published, or at which `tag` stands since, None since it was removed; `before` is
    the version's parent, or where the tag stood.  `origin` says of a publication what it was made from.
    """

    at: float
    what: Happening
    number: int | None
    before: int | None = None
    tag: str | None = None
    origin: str | None = None
    who: str = ""
    note: str = ""


def story_of(manifests: Iterable[Manifest], tags: Tags) -> tuple[Entry, ...]:
    """Everything that is known to have happened, newest first."""
    published = [
        Entry(
            at=manifest.created_at,
            what=Happening.PUBLISHED,
            number=manifest.number,
            before=manifest.parent.number if manifest.parent else None,
            origin=f"{manifest.origin.kind} {manifest.origin.name}",
            who=manifest.created_by,
            note=manifest.note,
        )
        for manifest in sorted(manifests, key=lambda each: each.number)
    ]
    moved = [
        Entry(
            at=move.at,
            what=_OF_MOVE[move.kind],
            number=move.number,
            before=move.before,
            tag=move.tag,
            who=move.who,
            note=move.note,
        )
        for move in tags.moves
    ]
    # Sorting keeps the order of what has the same time: what was last comes first, and a tag moves after a publication.
    return tuple(sorted((*moved[::-1], *published[::-1]), key=lambda each: each.at, reverse=True))
