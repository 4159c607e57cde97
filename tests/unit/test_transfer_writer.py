"""Writing trees: nothing leaves the folder, whatever an archive's names and links say, and nothing floods it."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import Entry, Kind
from netboot.images.transfer.stacking import apply_layer
from netboot.images.transfer.tar import Item
from netboot.images.transfer.writer import Limits, TreeWriter
from tests.tar_kit import OWN, folder, hardlink, item, seen, symlink

LIMITS = Limits()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "outer/tree"
    place.mkdir(parents=True)
    (tmp_path / "outer/victim").write_text("untouched")
    (tmp_path / "outer/etc").mkdir()
    return place


def write(tree: Path, *items: Item, limits: Limits = LIMITS) -> TreeWriter:
    with TreeWriter(tree, limits) as writer:
        writer.add_all(items)
    return writer


def outside(tree: Path) -> list[str]:
    """What lies around the tree."""
    return sorted(str(path.relative_to(tree.parent)) for path in tree.parent.rglob("*") if tree not in path.parents)


def test_a_tree_is_written_as_it_was_read(tree: Path, tmp_path: Path) -> None:
    content = os.urandom(10_000) + bytes(200_000) + os.urandom(5)
    write(
        tree,
        item("usr", kind=Kind.FOLDER, mode=0o751, mtime_ns=1_500_000_000_123_456_789),
        item("usr/file", content, mode=0o4755, mtime_ns=-5_000_000_000),
        item("usr/link", kind=Kind.SYMLINK, mode=0o777, target=b"/nowhere", mtime_ns=7_000_000_000),
        hardlink("usr/name", "usr/file"),
        hardlink("usr/link2", "usr/link"),
        item("usr/fifo", kind=Kind.FIFO, mode=0o640),
        item("usr/ro", kind=Kind.FOLDER, mode=0o500),
        item("usr/ro/in", b"in", mode=0o000),
    )
    found = {entry.path.decode(): (entry, content) for entry, content in seen(tree)}
    other = tmp_path / "other"
    other.mkdir()
    write(other, *((entry, iter([(0, content)])) for entry, content in seen(tree)))
    assert [(entry, content) for entry, content in seen(other)] == list(found.values())
    assert found["usr"][0].mtime_ns == 1_500_000_000_123_456_789
    assert (tree / "usr/file").read_bytes() == content
    assert (tree / "usr/file").stat().st_mtime_ns == -5_000_000_000
    assert (tree / "usr/file").stat().st_ino == (tree / "usr/name").stat().st_ino
    assert (tree / "usr/file").stat().st_blocks * 512 < 100_000
    assert (tree / "usr/link2").lstat().st_ino == (tree / "usr/link").lstat().st_ino


# What tries to get out: the files, and where in the tree they must have landed (None: refused).
ESCAPES: dict[str, tuple[list[Item], str | None]] = {
    "absolute name": ([item("/victim", b"x")], None),
    "absolute link, then a file through it": ([symlink("l", "/etc"), folder("etc"), item("l/x", b"x")], "etc/x"),
    "link upwards, then a file through it": ([symlink("l", "../.."), item("l/victim", b"x")], "victim"),
    "link upwards from below": (
        [folder("a"), symlink("a/l", "../../../../victim-folder"), folder("victim-folder"), item("a/l/x", b"x")],
        "victim-folder/x",
    ),
    "two links": ([symlink("a", ".."), symlink("b", "a/.."), item("b/victim", b"x")], "victim"),
    "file over a link to a file": ([symlink("l", "../victim"), item("l", b"x")], "l"),
    "folder over a link": ([symlink("l", "../etc"), folder("l"), item("l/x", b"x")], "l/x"),
    "hard link to what is outside": ([hardlink("x", "../victim")], None),
    "hard link through a link": ([symlink("l", ".."), hardlink("x", "l/victim"), item("x", b"x")], None),
    "magic link": ([symlink("l", "/proc/self/cwd"), item("l/x", b"x")], None),
    "circle of links": ([symlink("a", "b"), symlink("b", "a"), item("a/x", b"x")], None),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_gets_out(tree: Path, name: str) -> None:
    items, landed = ESCAPES[name]
    before = outside(tree)
    plain = [(dataclasses.replace(entry, path=entry.path.lstrip(b"/")), chunks) for entry, chunks in items]
    if name == "absolute name":
        write(tree, *plain)
        landed = "victim"
    elif landed is None:
        with pytest.raises(InvalidInput):
            write(tree, *items)
    else:
        write(tree, *items)
    assert outside(tree) == before
    assert (tree.parent / "victim").read_text() == "untouched"
    assert (tree.parent / "victim").stat().st_nlink == 1
    if landed is not None:
        assert (tree / landed).read_bytes() == b"x"
        assert not (tree / landed).is_symlink()


def test_whiteouts_do_not_reach_out(tree: Path) -> None:
    with TreeWriter(tree) as writer:
        writer.add_all([symlink("l", ".."), symlink("e", "../etc")])
        apply_layer([item("l/.wh.victim", b""), item("e/.wh..wh..opq", b""), item("l/.wh.etc", b"")], writer)
        with pytest.raises(InvalidInput):
            apply_layer([item(".wh...", b"")], writer)
    assert (tree.parent / "victim").exists()
    assert (tree.parent / "etc").exists()


def test_links_of_a_merged_usr_are_followed_by_later_files(tree: Path) -> None:
    write(
        tree,
        folder("usr"),
        folder("usr/bin"),
        symlink("bin", "usr/bin"),
        item("bin/sh", b"sh"),
        hardlink("sh", "bin/sh"),
    )
    assert (tree / "usr/bin/sh").read_bytes() == b"sh"
    assert (tree / "sh").stat().st_nlink == 2
    assert (tree / "bin").is_symlink()


def test_what_comes_later_takes_the_place(tree: Path) -> None:
    write(tree, item("a/b/c", b"1"), item("a/b", b"2"), symlink("a", "x"), folder("x"), folder("a"), item("a/b", b"3"))
    assert (tree / "a/b").read_bytes() == b"3"
    assert list((tree / "x").iterdir()) == []


def test_a_replaced_file_does_not_change_its_other_names(tree: Path) -> None:
    write(tree, item("a", b"1"), hardlink("b", "a"), item("a", b"2"))
    assert ((tree / "a").read_bytes(), (tree / "b").read_bytes()) == (b"2", b"1")


def test_folders_that_are_left_out_are_made_plain(tree: Path) -> None:
    old = os.umask(0o077)
    try:
        write(tree, item("a/b/c", b"1"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tree / "a/b").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("items", "limits", "told"),
    [
        ([item("a", b"x" * 5000), item("b", b"x" * 6000)], Limits(size_bytes=10_000), "unpacks to more than"),
        ([item(str(index), b"") for index in range(11)], Limits(files=10), "more than 10 files"),
        ([item("/".join("abcdefghijklmnop"), b"")], Limits(files=10), "more than 10 files"),
        ([item("/".join("a" * 250), b"")], Limits(), "folders deep"),
        ([item(str(index), kind=Kind.CHAR) for index in range(3)], Limits(devices=0), "more than 0 device nodes"),
        ([item("a", b""), item("a/b", b"")], Limits(), "below something that is not a folder"),
        ([hardlink("a", "a")], Limits(), "does not have before it"),
        ([folder("a"), hardlink("b", "a")], Limits(), "does not have before it"),
        ([item("", b"")], Limits(), "root of the tree is not a folder"),
    ],
)
def test_floods_and_nonsense_are_refused(tree: Path, items: list[Item], limits: Limits, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        write(tree, *items, limits=limits)


def test_links_do_not_make_a_tree_deeper_than_it_may_be(tree: Path) -> None:
    deep, deeper = "/".join("a" * 150), "l/" + "/".join("b" * 150)
    with pytest.raises(InvalidInput, match="folders deep"):
        write(
            tree, item(f"{deep}/x", b""), symlink("l", deep), item(f"{deeper}/x", b""), symlink("m", deeper),
            item("m/c/x", b""),
        )  # fmt: skip


def test_zeros_cost_nothing_against_the_bound(tree: Path) -> None:
    write(tree, item("zeros", bytes(1 << 20)), limits=Limits(size_bytes=4096))
    assert (tree / "zeros").stat().st_blocks == 0


@pytest.mark.parametrize(
    "fields", [{"uid": 1 << 32}, {"uid": -1}, {"mtime_ns": 10**30}, {"size": 1 << 62}, {"device": (1 << 13, 0)}]
)
def test_values_that_no_file_has_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="cannot be"):
        Entry(**{"path": b"x", "kind": Kind.FILE, **OWN, **fields})  # type: ignore[arg-type]


def test_labels_that_an_overlay_would_read_are_left_out(tree: Path) -> None:
    write(
        tree, item("a", b"", xattrs={"user.overlay.opaque": b"y", "trusted.overlay.redirect": b"/x", "user.kept": b"1"})
    )
    assert os.listxattr(tree / "a") == ["user.kept"]
