"""Stacked layers are what the OCI image specification says: marks act on the layers below, and on nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from netboot.images.transfer.layers import Hide, hidden_by
from netboot.images.transfer.stacking import apply_layer
from netboot.images.transfer.tar import Item
from netboot.images.transfer.writer import TreeWriter
from tests.tar_kit import folder, item, seen, symlink

# A layer: what it brings (None for a folder, "->" for a link that leads nowhere), the names it hides, the folders that
# it makes opaque, and a number that decides the order of its marks among its files.
Layer = tuple[Mapping[str, str | None], frozenset[str], frozenset[str], int]

NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    brings: dict[str, str | None] = {}
    for path, content in draw(st.dictionaries(PATHS, st.sampled_from([None, "1", "2", "->"]), max_size=6)).items():
        parents = [path[:index] for index, char in enumerate(path) if char == "/"]
        if all(brings.get(each) is None for each in parents) and path not in brings:
            brings |= dict.fromkeys(parents) | {path: content}
    places = [path for path, content in brings.items() if content is None] + [""]
    hidden = draw(st.sets(st.tuples(st.sampled_from(places), NAMES), max_size=3))
    opaque = draw(st.sets(st.sampled_from(places), max_size=2))
    joined = frozenset(f"{place}/{name}".lstrip("/") for place, name in hidden)
    return brings, joined, frozenset(opaque), draw(st.integers(0, 1000))


def specified(stack: list[Layer]) -> dict[str, str | None]:
    """The tree by the words of the specification, on a table of names."""
    tree: dict[str, str | None] = {}
    for brings, hidden, opaque, _ in stack:
        for path in hidden:
            tree = {name: each for name, each in tree.items() if name != path and not name.startswith(f"{path}/")}
        for path in opaque:
            tree = {name: each for name, each in tree.items() if path and not name.startswith(f"{path}/")}
        for path, content in sorted(brings.items()):
            if content is not None or tree.get(path, "") is not None:
                tree = {name: each for name, each in tree.items() if not name.startswith(f"{path}/")}
            tree[path] = content
    return tree


def items_of(layer: Layer) -> list[Item]:
    brings, hidden, opaque, order = layer
    items: list[Item] = []
    for path, content in sorted(brings.items()):
        made = folder(path) if content is None else symlink(path, "nowhere") if content == "->" else None
        items.append(made or item(path, (content or "").encode()))
    marks = [item("/".join(_mark(path)), b"") for path in sorted(hidden)]
    marks += [item(f"{path}/.wh..wh..opq".lstrip("/"), b"") for path in sorted(opaque)]
    for index, mark in enumerate(marks):
        # A mark lies in a folder of this layer, which comes before it.
        above = [at for at, (entry, _) in enumerate(items) if mark[0].path.startswith(entry.path + b"/")]
        least = max(above, default=-1) + 1
        items.insert(least + (order + 7 * index) % (len(items) - least + 1), mark)
    return items


def _mark(path: str) -> list[str]:
    *folders, name = path.split("/")
    return [*folders, f".wh.{name}"]


@settings(max_examples=300)
@given(st.lists(layers(), min_size=1, max_size=4))
def test_a_stack_is_what_the_specification_says(stack: list[Layer]) -> None:
    with tempfile.TemporaryDirectory() as place:
        with TreeWriter(Path(place)) as writer:
            for layer in stack:
                apply_layer(items_of(layer), writer)
        found = {
            entry.path.decode(): {"folder": None, "symlink": "->"}.get(entry.kind.value, content.decode())
            for entry, content in seen(Path(place))
            if entry.path
        }
    assert found == specified(stack)


def test_marks_are_told_from_names() -> None:
    assert hidden_by(b"a/.wh.b") == Hide(b"a/b")
    assert hidden_by(b".wh.b") == Hide(b"b")
    assert hidden_by(b"a/.wh..wh..opq") == Hide(b"a", below=True)
    assert hidden_by(b".wh..wh..opq") == Hide(b"", below=True)
    assert hidden_by(b"a/.wh..wh.plnk") == Hide(None)
    assert hidden_by(b".wh..wh.orph/x") == Hide(None)
    assert hidden_by(b"a/.what") is None
    assert hidden_by(b"a.wh.b") is None
