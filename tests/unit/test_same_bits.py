"""The same bits again: packages as they were, times that do not tell when, file systems that do not tell where."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NetbootError, NotFound
from netboot.images.builder import BuildOptions, mmdebstrap_argv, package_sources
from netboot.images.inodes import unsettled
from netboot.images.lock import Lock, read_lock
from netboot.images.manifest import manifest_digest
from netboot.images.mirror import release_time, release_urls, snapshot_sources
from netboot.images.publish import make_filesystem
from netboot.images.recipe import load_recipe
from netboot.images.store import ImageStore
from netboot.system.commands import run
from netboot.system.tree import Tree
from tests.unit.test_manifest import MANIFEST

DATE = 1_700_000_000
RECIPE = load_recipe(recipes_dir(), "debian-minimal")
PATTERN = "http://mirror.example/archive/{archive}/{time}/"


# -- packages


def test_every_package_is_pinned_to_its_version() -> None:
    assert Lock({"b": "1:2.0-3", "a": "1"}, None).preferences() == (
        "Package: a\nPin: version 1\nPin-Priority: 1001\n\nPackage: b\nPin: version 1:2.0-3\nPin-Priority: 1001\n"
    )


def test_apt_reads_the_pins_before_anything_is_chosen() -> None:
    words = mmdebstrap_argv(
        RECIPE, overlay=Path("/o"), tree=Path("/t"), sources=["deb x y z"], preferences=Path("/s/pre ferences")
    )
    (hook,) = [word for word in words if word.startswith("--setup-hook=")]
    assert hook == "--setup-hook=upload '/s/pre ferences' /etc/apt/preferences.d/00-netboot-lock"


def test_what_could_not_be_had_as_locked_is_named() -> None:
    lock = Lock({"same": "1", "newer": "1", "gone": "1"}, None)
    lock.check(dict(lock.packages))
    with pytest.raises(NetbootError) as caught:
        lock.check({"same": "1", "newer": "2", "more": "3"})
    assert caught.value.message.splitlines()[1:] == [
        "  gone: 1 locked, not installed",
        "  more: not locked, 3 installed",
        "  newer: 1 locked, 2 installed",
    ]


def test_a_manifest_is_a_lock(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(replace(MANIFEST, build={"date": str(DATE)}).to_json())
    assert read_lock(file) == Lock(MANIFEST.packages, DATE)
    file.write_text(replace(MANIFEST, build={}).to_json())
    assert read_lock(file).date is None
    file.write_text(replace(MANIFEST, packages={}).to_json())
    with pytest.raises(InvalidInput, match="names no packages"):
        read_lock(file)
    file.write_text("{}")
    with pytest.raises(InvalidInput, match="is no version's manifest"):
        read_lock(file)
    with pytest.raises(NotFound):
        read_lock(tmp_path / "x")


# -- sources


def test_packages_of_a_time_come_from_an_archive_of_snapshots() -> None:
    lines = snapshot_sources(PATTERN, "20261101T000000Z", suite="bookworm", components=("main", "contrib"))
    start = "deb [check-valid-until=no] http://mirror.example/archive"
    assert lines == [
        f"{start}/debian/20261101T000000Z/ bookworm main contrib",
        f"{start}/debian/20261101T000000Z/ bookworm-updates main contrib",
        f"{start}/debian-security/20261101T000000Z/ bookworm-security main contrib",
    ]
    assert release_urls(lines)[2] == (
        "http://mirror.example/archive/debian-security/20261101T000000Z/dists/bookworm-security/InRelease"
    )
    assert len(snapshot_sources(PATTERN, "20261101T000000Z", suite="sid", components=("main",))) == 1
    with pytest.raises(InvalidInput, match="names no archive of snapshots"):
        snapshot_sources("http://mirror.example/", "20261101T000000Z", suite="sid", components=("main",))


def test_a_mirror_goes_before_a_snapshot_and_a_snapshot_needs_an_archive() -> None:
    recipe = replace(RECIPE, snapshot="20261101T000000Z")
    assert package_sources(recipe, BuildOptions(mirror="http://m.example/", snapshots=PATTERN)) == [
        "deb [check-valid-until=no] http://m.example/ bookworm main"
    ]
    assert "20261101T000000Z" in package_sources(recipe, BuildOptions(snapshots=PATTERN))[0]
    with pytest.raises(InvalidInput, match="no archive of snapshots is known") as caught:
        package_sources(recipe, BuildOptions())
    assert "images.snapshot" in (caught.value.hint or "")


def test_an_archive_says_when_it_was_changed() -> None:
    text = "Origin: Debian\nSuite: stable\nDate: Tue, 14 Nov 2023 22:13:20 UTC\nValid-Until: x\n"
    assert release_time(text) == DATE
    for odd in ("Origin: Debian\n", "Date: yesterday\n"):
        with pytest.raises(InvalidInput, match="does not say when"):
            release_time(odd)


# -- digests


def test_the_digest_does_not_tell_who_made_it_when_and_with_what_remark() -> None:
    again = replace(MANIFEST, created_at=1.0, created_by="somebody", note="else")
    assert manifest_digest(again.to_json()) == manifest_digest(MANIFEST.to_json())
    for other in (replace(MANIFEST, kernel_args=("x",)), replace(MANIFEST, number=9), replace(MANIFEST, packages={})):
        assert manifest_digest(other.to_json()) != manifest_digest(MANIFEST.to_json())


# -- file systems


def fill(tree: Path, *, backwards: bool) -> Path:
    """A tree whose names were made in one order or the other, with most of what a system has."""
    names = sorted(
        ["usr/bin/a", "usr/bin/b", "etc/ä", "etc/B", "etc/a", "var/long/" + "x" * 200, "z"], reverse=backwards
    )
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    os.link(tree / "usr/bin/a", tree / "usr/bin/also-a")
    (tree / "etc/link").symlink_to("/" + "y" * 100)
    os.mkfifo(tree / "etc/pipe")
    (tree / "usr/bin/b").chmod(0o4755)
    with Tree(tree) as whole:
        whole.clamp_times(DATE)
    return tree


def make(place: Path, tree: Path) -> Path:
    with ImageStore(place / "images").stage("tiny") as staging:
        return make_filesystem(staging, tree, 8 << 20, date=DATE).rename(place / "root.ext4")


def test_a_file_system_has_the_same_bits_whenever_and_wherever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(tmp_path / "one", fill(tmp_path / "one/tree", backwards=False))
    tree = fill(tmp_path / "two/tree", backwards=True)
    time.sleep(1.1)  # the clock of inodes has whole seconds
    for path in tree.rglob("*"):
        modified = path.lstat().st_mtime_ns
        os.utime(path, ns=(time.time_ns(), modified), follow_symlinks=False)  # other times of change and access
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("MKE2FS_CONFIG", "/etc/passwd")
    two = make(tmp_path / "two", tree)
    assert one.read_bytes() == two.read_bytes()
    run(["e2fsck", "-f", "-n", one])


def test_no_time_in_a_file_system_is_later_than_its_date(tmp_path: Path) -> None:
    file = make(tmp_path, fill(tmp_path / "tree", backwards=False))
    with file.open("rb") as device:
        assert list(unsettled(device)) == []
    shown = run(["debugfs", "-R", "stat usr/bin/a", file]).stdout
    stamps = {line.split(":")[1].split()[0] for line in shown.splitlines() if "time: 0x" in line}
    assert stamps == {hex(DATE)}
    assert "Inode checksum" in shown and "Links: 2" in shown


def test_what_is_no_file_system_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\0" * 8192)
    with file.open("rb") as device, pytest.raises(InvalidInput, match="no ext4"):
        list(unsettled(device))
