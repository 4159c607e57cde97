"""What is derived of a root: its note, its names, and the words that make it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from netboot.errors import InvalidInput, NetbootError
from netboot.images.compress import maker_argv
from netboot.images.derived import FORMATS, find_derived, is_unfinished, parse_note, shape_note, unfinished
from netboot.images.gcplan import plan_gc
from netboot.images.holders import Holder, HolderKind, Stock
from netboot.images.identity import derived_uuid, filesystem_uuids
from netboot.images.store import ImageStore
from netboot.model.image import Artefact, Digest, Root, Verity
from netboot.model.root import RootFormat
from tests.images_kit import publish_whole

FOLDER = Path("/images/debian/1")
TREE = Artefact(path=FOLDER / "root.erofs.verity", size_bytes=8192, digest=Digest("b" * 64))
ROOT = Root(
    path=FOLDER / "root.erofs",
    size_bytes=40960,
    verity=Verity(root_hash=Digest("a" * 64), salt=b"s" * 32, tree=TREE),
)
UUIDS = UUID("6f0b7a52-3f0e-5d0c-9a3e-6b0d1c2f4e58")


def test_a_note_is_read_as_it_was_written() -> None:
    assert parse_note(shape_note(ROOT), FOLDER, RootFormat.EROFS) == ROOT


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": 2}, "its format is 2"),
        ({"root_hash": "a"}, "root_hash is not 64 hex digits"),
        ({"salt": "A" * 64}, "salt is not 64 hex digits"),
        ({"size_bytes": "40960"}, "size_bytes cannot be '40960'"),
        ({"verity": {"size_bytes": 1}}, "it lacks digest"),
        ({"verity": {"size_bytes": 1, "digest": "b"}}, "'b' is not a digest"),
        ({"more": 1}, "unknown field more"),
    ],
)
def test_a_wrong_note_is_refused(change: dict[str, Any], what: str) -> None:
    text = json.dumps({**json.loads(shape_note(ROOT)), **change})
    with pytest.raises(InvalidInput, match=what):
        parse_note(text, FOLDER, RootFormat.EROFS)


def test_what_has_no_note_is_not_there(tmp_path: Path) -> None:
    version = publish_whole(ImageStore(tmp_path))
    assert find_derived(version, RootFormat.EROFS) is None
    file, tree, note = (version.folder / f"root.erofs{end}" for end in ("", ".verity", ".json"))
    file.touch()
    tree.touch()
    assert list(unfinished(version)) == [file, tree]
    assert find_derived(version, RootFormat.EROFS) is None
    note.write_text(shape_note(ROOT))
    assert list(unfinished(version)) == []
    found = find_derived(version, RootFormat.EROFS)
    assert found is not None
    assert found.path == file
    assert not is_unfinished(version.root.path)
    note.write_text("{")
    with pytest.raises(NetbootError, match="json cannot be read"):
        find_derived(version, RootFormat.EROFS)


@pytest.mark.parametrize("format", FORMATS)
def test_the_words_name_all_that_would_be_chance(format: RootFormat) -> None:
    words = {
        RootFormat.EROFS: f"mkfs.erofs --quiet -zlz4hc -U {UUIDS} --exclude-path=lost+found /out /tree",
        RootFormat.SQUASHFS: "mksquashfs /tree /out -noappend -no-progress -quiet -comp zstd -e lost+found",
    }
    assert maker_argv(format, Path("/tree"), Path("/out"), uuid=UUIDS) == words[format].split()


def test_uuids_differ_by_version_and_format() -> None:
    made = {derived_uuid(image, number, each) for image in "ab" for number in (1, 2) for each in FORMATS}
    assert len(made) == 8
    assert derived_uuid("a", 1, RootFormat.EROFS) not in filesystem_uuids("a", 1)


def test_what_is_derived_goes_when_nobody_but_a_child_holds_the_version() -> None:
    stock = [Stock(image="a", number=number, has_derived=number != 4) for number in (1, 2, 3, 4)]
    child, client = Holder(kind=HolderKind.CHILD, name="a:2"), Holder(kind=HolderKind.CLIENT, name="x")
    holders = {"a:1": [child], "a:2": [client], "a:3": [], "a:4": []}
    assert plan_gc(stock, holders).derived == ("a:1", "a:3")
    # What goes with its version is not told apart from it.
    plan = plan_gc(stock, holders, keep=0)
    assert set(plan.derived).isdisjoint(plan.versions)
