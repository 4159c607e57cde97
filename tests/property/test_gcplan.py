"""Whatever versions, tags, clients and drafts there are: what somebody needs is never removed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netboot.images.gcplan import can_be_made, plan_gc
from netboot.images.holders import HolderKind, Stock, Wants, holders_of
from netboot.images.tags import Tags
from netboot.model.names import VersionRef

IMAGES = ("a", "b")
NUMBERS = range(1, 9)
labels = st.builds(lambda image, number: f"{image}:{number}", st.sampled_from(IMAGES), st.sampled_from(NUMBERS))
refs = st.builds(
    VersionRef, st.sampled_from(IMAGES), st.none() | st.sampled_from([*NUMBERS, "latest", "stable", "test", "gone"])
)


@st.composite
def stocks(draw: st.DrawFn) -> list[Stock]:
    """Versions with any parents before them, of which some were removed; what cannot be made has its root."""
    found: dict[str, Stock] = {}
    for image in IMAGES:
        for number in draw(st.lists(st.sampled_from(NUMBERS), unique=True)):
            parent = draw(st.none() | st.integers(1, number - 1)) if number > 1 else None
            has_root = parent is None or draw(st.booleans())
            found[f"{image}:{number}"] = Stock(image=image, number=number, parent=parent, has_root=has_root)
    return [
        each
        if each.has_root or can_be_made(each, found)
        else Stock(image=each.image, number=each.number, parent=each.parent)
        for each in found.values()
    ]


@st.composite
def moved_tags(draw: st.DrawFn) -> Tags:
    tags = Tags()
    for tag, number in draw(st.lists(st.tuples(st.sampled_from(["stable", "test"]), st.sampled_from(NUMBERS)))):
        tags = tags.set(tag, number, at=0.0)
        if tags.previous(tag) and draw(st.booleans()):
            tags = tags.roll_back(tag, at=0.0)
    return tags


names = st.sampled_from(["x", "y", "z"])
wants = st.builds(
    Wants,
    tags=st.dictionaries(st.sampled_from(IMAGES), moved_tags()),
    assigned=st.lists(st.tuples(names, refs), max_size=4),
    unknown_clients=st.none() | refs,
    running=st.lists(st.tuples(names, labels), max_size=4),
    drafts=st.lists(st.tuples(names, labels), max_size=4),
)


def makeable(stock: list[Stock]) -> set[str]:
    by_label = {each.label: each for each in stock}
    return {each.label for each in stock if each.has_root or can_be_made(each, by_label)}


@given(stocks(), wants, st.none() | st.integers(0, 4))
def test_nothing_that_is_needed_goes(stock: list[Stock], wants: Wants, keep: int | None) -> None:
    holders = holders_of(stock, wants)
    plan = plan_gc(stock, holders, keep=keep)
    left = [
        Stock(
            image=each.image,
            number=each.number,
            parent=each.parent,
            has_root=each.label not in plan.roots and each.has_root,
        )
        for each in stock
        if each.label not in plan.versions
    ]
    assert makeable(stock) == {each.label for each in stock}
    assert makeable(left) == {each.label for each in left}
    for label, who in holders.items():
        if any(each.kind is not HolderKind.CHILD for each in who):
            assert label not in plan.versions and label not in plan.roots
    for image in IMAGES:
        numbers = sorted(each.number for each in stock if each.image == image)
        newest = numbers if keep is None else numbers[len(numbers) - min(keep, len(numbers)) :]
        assert not {f"{image}:{number}" for number in newest} & set(plan.versions)


@given(stocks(), wants, st.integers(0, 4))
def test_wherever_it_ends_what_is_left_can_be_made(stock: list[Stock], wants: Wants, keep: int) -> None:
    plan = plan_gc(stock, holders_of(stock, wants), keep=keep)
    for done in range(len(plan.versions) + 1):
        left = [each for each in stock if each.label not in plan.versions[:done]]
        assert makeable(left) == {each.label for each in left}


@given(stocks(), wants, st.integers(0, 4))
def test_done_once_there_is_nothing_more_to_do(stock: list[Stock], wants: Wants, keep: int) -> None:
    plan = plan_gc(stock, holders_of(stock, wants), keep=keep)
    left = [
        Stock(
            image=each.image,
            number=each.number,
            parent=each.parent,
            has_root=each.label not in plan.roots and each.has_root,
        )
        for each in stock
        if each.label not in plan.versions
    ]
    again = plan_gc(left, holders_of(left, wants), keep=keep)
    assert again.roots == ()
    # Rollbacks lead, among those that are left, to the same version; so nothing more is free.
    assert again.versions == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "back", "remove"]), st.sampled_from(["stable", "test"]), st.sampled_from(NUMBERS)
        )
    )
)
def test_tags_are_a_stack_each(steps: list[tuple[str, str, int]]) -> None:
    """Against the simplest model: a list a tag, of the versions that it named."""
    tags, stacks = Tags(), {"stable": list[int | None](), "test": list[int | None]()}
    for step, tag, number in steps:
        stack = stacks[tag]
        standing = stack[-1] if stack else None
        if step == "set" and standing != number:
            stack.append(number)
            tags = tags.set(tag, number, at=0.0)
        elif step == "remove" and standing is not None:
            stack.append(None)
            tags = tags.remove(tag, at=0.0)
        elif step == "back" and standing is not None and any(each is not None for each in stack[:-1]):
            stack.pop()
            while stack[-1] is None:
                stack.pop()
            tags = tags.roll_back(tag, at=0.0)
    assert tags.current == {tag: stack[-1] for tag, stack in sorted(stacks.items()) if stack and stack[-1] is not None}
