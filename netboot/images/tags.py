"""Tags: movable names for the versions of one image, with the history of their moves.

The history is all there is: where a tag stands is where its last moves left it.  Setting a tag puts a version on top of
those that it named before, rolling back takes one off; so two rollbacks in a row go two moves back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from netboot.errors import Conflict, InvalidInput, NotFound
from netboot.model.names import LATEST, STABLE, parse_tag


class MoveKind(StrEnum):
    SET = "set"
    ROLLED_BACK = "rolled-back"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of a tag.  `number` is where it stands since, None since it was removed; `before` where it stood."""

    tag: str
    kind: MoveKind
    number: int | None
    before: int | None
    at: float
    who: str = ""
    note: str = ""


@dataclass(frozen=True)
class Tags:
    """The tags of one image, by the history of their moves, oldest first."""

    moves: tuple[Move, ...] = ()

    @cached_property  # every packet of a booting client asks
    def current(self) -> Mapping[str, int]:
        """Where each tag stands; those that were removed are absent."""
        stands = {move.tag: move.number for move in self.moves}
        return {tag: number for tag, number in sorted(stands.items()) if number is not None}

    def previous(self, tag: str) -> int | None:
        """The version that rolling `tag` back leads to, None if there is none."""
        stood = _stack(move for move in self.moves if move.tag == tag)
        return next((number for number in reversed(stood[:-1]) if number is not None), None)

    def resolve(self, selector: int | str | None, numbers: Collection[int]) -> int | None:
        """The number that a reference's selector means among the `numbers` that there are, None if there is none."""
        meant = self.meant(selector)
        if meant == LATEST:
            return max(numbers, default=None)
        number = self.current.get(meant) if isinstance(meant, str) else meant
        return number if number in numbers else None

    def meant(self, selector: int | str | None) -> int | str:
        """The tag or number that a selector stands for: for none, `stable` or `latest`."""
        if selector is not None:
            return selector
        return STABLE if STABLE in self.current else LATEST

    def set(self, tag: str, number: int, *, at: float, who: str = "", note: str = "") -> Tags:
        """With `tag` at `number`; the same tags if it stands there already.  `InvalidInput` for `latest`."""
        parse_tag(tag)
        if tag == LATEST:
            raise InvalidInput(
                f"{LATEST} is always the newest version, and cannot be set", hint=f"set {STABLE}, or another"
            )
        before = self.current.get(tag)
        if before == number:
            return self
        return self._with(Move(tag=tag, kind=MoveKind.SET, number=number, before=before, at=at, who=who, note=note))

    def roll_back(self, tag: str, *, at: float, who: str = "", note: str = "") -> Tags:
        """With `tag` where it was before its last move; `Conflict` if it was nowhere else."""
        if tag not in self.current:
            raise self._no_tag(tag)
        if (number := self.previous(tag)) is None:
            raise Conflict(
                f"tag {tag} has named no version before {self.current[tag]}, so there is nothing to go back to",
                hint="set it yourself: netboot image tag IMAGE:NUMBER TAG",
            )
        before = self.current[tag]
        move = Move(tag=tag, kind=MoveKind.ROLLED_BACK, number=number, before=before, at=at, who=who, note=note)
        return self._with(move)

    def remove(self, tag: str, *, at: float, who: str = "", note: str = "") -> Tags:
        """Without `tag`; `NotFound` if there is none."""
        if tag not in self.current:
            raise self._no_tag(tag)
        before = self.current[tag]
        move = Move(tag=tag, kind=MoveKind.REMOVED, number=None, before=before, at=at, who=who, note=note)
        return self._with(move)

    def _with(self, move: Move) -> Tags:
        return Tags((*self.moves, move))

    def _no_tag(self, tag: str) -> NotFound:
        there = ", ".join(self.current) or "none"
        return NotFound(f"there is no tag {tag}", hint=f"the image's tags: {there}")


def _stack(moves: Iterable[Move]) -> list[int | None]:
    """The versions that one tag named and that rollbacks have not taken off, the current one last."""
    stood: list[int | None] = []
    for move in moves:
        if move.kind is not MoveKind.ROLLED_BACK:
            stood.append(move.number)
            continue
        stood.pop()
        while stood and stood[-1] != move.number:
            stood.pop()
    return stood
