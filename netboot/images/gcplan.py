"""What may go: which versions nobody needs, and which roots can be made again if somebody should.

A version is needed by whoever holds it, and by every version that is stored, step by step, as changes to it.  A root
that was made from changes, and what is derived of a root, is kept while anybody but a child holds its version, so that
a boot, a rollback or a draft begins at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netboot.images.holders import Holder, HolderKind, Stock


@dataclass(frozen=True, slots=True, kw_only=True)
class GcPlan:
    """Labels of versions to remove, in this order, of those whose roots are dropped, and what is derived of them."""

    versions: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def plan_gc(stock: Sequence[Stock], holders: Mapping[str, Sequence[Holder]], *, keep: int | None = None) -> GcPlan:
    """Removes versions only if `keep` is given: those that nobody needs, but for the newest `keep` of each image.

    Children come before their parents, so that whatever way it ends, what is there can be made.
    """
    kept = {each.label: each for each in (stock if keep is None else _needed(stock, holders, keep))}
    gone = sorted((each for each in stock if each.label not in kept), key=lambda each: (each.image, -each.number))
    return GcPlan(
        versions=tuple(each.label for each in gone),
        roots=tuple(
            each.label
            for each in kept.values()
            if each.has_root
            and not each.root_in_use
            and not own_holders(holders[each.label])
            and can_be_made(each, kept)
        ),
        derived=tuple(
            each.label for each in kept.values() if each.has_derived and not own_holders(holders[each.label])
        ),
    )


def can_be_made(version: Stock, stock: Mapping[str, Stock]) -> bool:
    """Whether its root can be made again without its own file, from what is in `stock`.

    The farthest ancestor that is there is stored whole, or lost its parent and has its root, which is never dropped.
    """
    ancestors = list(_ancestors(version, stock))
    return bool(ancestors) and ancestors[-1].has_root


def own_holders(holders: Iterable[Holder]) -> list[Holder]:
    """Who needs the version itself, and not what is stored as changes to it."""
    return [each for each in holders if each.kind is not HolderKind.CHILD]


def _needed(stock: Sequence[Stock], holders: Mapping[str, Sequence[Holder]], keep: int) -> Iterator[Stock]:
    by_label = {each.label: each for each in stock}
    newest: set[str] = set()
    for image in {each.image for each in stock}:
        numbers = sorted(each.number for each in stock if each.image == image)
        newest |= {f"{image}:{number}" for number in numbers[len(numbers) - min(keep, len(numbers)) :]}
    roots = [each for each in stock if each.label in newest or own_holders(holders[each.label])]
    labels = {one.label for each in roots for one in (each, *_ancestors(each, by_label))}
    return (each for each in stock if each.label in labels)


def _ancestors(version: Stock, stock: Mapping[str, Stock]) -> Iterator[Stock]:
    """Its parent, its parent's parent, as far as they are there."""
    parent = version.parent
    while parent is not None and (found := stock.get(f"{version.image}:{parent}")) is not None:
        yield found
        parent = found.parent
