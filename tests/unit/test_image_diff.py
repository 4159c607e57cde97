"""What two versions differ in, and which of two versions of a package is the later."""

from __future__ import annotations

import itertools
import stat

import pytest

from netboot.images.debversion import PackageVersion
from netboot.images.diff import PackageStep, Trait, compare_files, compare_packages

# In order, by Debian Policy 5.6.12.
IN_ORDER = [
    "1.0~~", "1.0~~a", "1.0~", "1.0~rc1-1", "1.0", "1.0-0.1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1.1",
    "1.0-2", "1.0-10", "1.0a-1", "1.0+dfsg-1", "1.0.1", "1.2", "1.10", "2", "1:0.1", "2:0.0-1",
]  # fmt: skip


@pytest.mark.parametrize(("less", "more"), list(itertools.combinations(IN_ORDER, 2)))
def test_versions_of_packages_are_in_debians_order(less: str, more: str) -> None:
    assert PackageVersion(less) < PackageVersion(more)
    assert PackageVersion(more) > PackageVersion(less)


def test_a_missing_revision_is_zero_and_zeros_in_front_count_nothing() -> None:
    assert PackageVersion("1.0") == PackageVersion("1.0-0") == PackageVersion("0:1.00")
    assert hash(PackageVersion("1.0")) == hash(PackageVersion("1.0-0"))


def test_packages_that_came_went_and_moved() -> None:
    old, new = {"a": "1", "b": "1.9", "c": "2", "d": "1"}, {"b": "1.10", "c": "1", "d": "1", "e": "5"}
    steps = [(each.name, each.step, each.before, each.after) for each in compare_packages(old, new)]
    assert steps == [
        ("a", PackageStep.REMOVED, "1", None),
        ("b", PackageStep.UP, "1.9", "1.10"),
        ("c", PackageStep.DOWN, "2", "1"),
        ("e", PackageStep.ADDED, None, "5"),
    ]


def trait(mode: int = stat.S_IFREG | 0o644, size: int = 1, at: int = 5, **more: object) -> Trait:
    return Trait(mode=mode, owner=(0, 0), size_bytes=size, changed_at_ns=at, **more)  # type: ignore[arg-type]


def never(path: str) -> bool:
    raise AssertionError(f"{path} need not be read")


def test_what_differs_of_a_path_is_named() -> None:
    old = {
        "gone": trait(),
        "grown": trait(),
        "mode": trait(mark=(1, 2)),
        "link": trait(stat.S_IFLNK | 0o777, target="a"),
    }
    new = {
        "grown": trait(size=2, at=6),
        "mode": trait(stat.S_IFREG | 0o4755, mark=(1, 2)),
        "link": trait(stat.S_IFLNK | 0o777, target="b"),
        "new": trait(stat.S_IFDIR | 0o755),
    }
    found = {
        each.path: each.what or ("added" if each.before is None else "removed")
        for each in compare_files(old, new, never)
    }
    assert found == {
        "gone": "removed",
        "grown": ("content", "time"),
        "link": ("target",),
        "mode": ("mode",),
        "new": "added",
    }


@pytest.mark.parametrize("same", [True, False])
def test_files_that_may_have_been_touched_are_read(same: bool) -> None:
    old, new = {"a": trait(mark=(1, 2))}, {"a": trait(mark=(1, 3))}
    found = compare_files(old, new, lambda path: same)
    assert [each.what for each in found] == ([] if same else [("content",)])


def test_times_are_told_when_asked_for_and_never_those_of_folders() -> None:
    old = {"a": trait(mark=(1, 2)), "f": trait(stat.S_IFDIR | 0o755)}
    new = {"a": trait(at=6, mark=(1, 2)), "f": trait(stat.S_IFDIR | 0o755, at=6)}
    assert compare_files(old, new, lambda path: True) == ()
    assert [each.path for each in compare_files(old, new, lambda path: True, with_times=True)] == ["a"]


def test_another_kind_is_all_there_is_to_say() -> None:
    old, new = {"a": trait()}, {"a": trait(stat.S_IFLNK | 0o777, target="b")}
    assert [each.what for each in compare_files(old, new, never)] == [("kind",)]
