"""From a draft to the next version, on the real store: what is stored, and what is read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from netboot.errors import Conflict, NetbootError
from netboot.images.attach import mount, tree_of
from netboot.images.clock import Clock
from netboot.images.commit import STEPS, Readying, commit_draft
from netboot.images.draft import Draft, Drafts
from netboot.images.pace import Pace
from netboot.images.preparing import load_table
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.system.loop import attached
from netboot.system.mounts import mount_read_only, private_mounts
from tests.images_kit import assert_whole, publish_format_1, publish_whole
from tests.small_system import small_root

pytestmark = pytest.mark.walls

MIB = 1 << 20


class Unwatched:
    def step(self, name: str, *, fraction: float, left_s: float, bytes_per_s: float | None = None) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def first(store: ImageStore, tmp_path: Path) -> Version:
    return publish_whole(store, "small", small_root(tmp_path))


def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "images")


def opened(tmp_path: Path, version: Version, name: str = "one") -> Draft:
    return drafts(tmp_path).open(name, version, version.root.path, who="tester")


def commit(store: ImageStore, draft: Draft, note: str = "") -> Version:
    clock = Clock(Unwatched(), Pace.learned({}, STEPS))
    readying = Readying(table=load_table())
    return commit_draft(draft, store=store, clock=clock, readying=readying, who="tester", note=note)


def read(store: ImageStore, version: Version, name: str, at: Path) -> bytes:
    """A file of a version, as a client would see it."""
    at.mkdir(exist_ok=True)
    with private_mounts(), attached(store.materialise(version)) as device:
        mount_read_only(device, at, fstype="ext4")
        return (at / name).read_bytes()


def test_what_was_changed_is_the_next_version_and_the_parent_is_as_it_was(
    tmp_path: Path, store: ImageStore, first: Version
) -> None:
    draft = opened(tmp_path, first)
    with tree_of(draft) as tree:
        (tree / "etc/motd").write_text("second\n")
        (tree / "etc/machine-id").write_text("f" * 32)
    second = commit(store, draft, note="a motd")
    assert (second.label, second.parent and second.parent.number) == ("small:2", 1)
    assert read(store, second, "etc/motd", tmp_path / "at") == b"second\n"
    assert read(store, second, "etc/machine-id", tmp_path / "at") == b""  # prepared for many
    assert_whole(*store.list())
    manifest = store.manifest(second)
    assert (manifest.note, manifest.created_by, manifest.origin.name) == ("a motd", "tester", "one")
    # A chain: the third is stored as changes to the second.
    again = opened(tmp_path, second, "two")
    with tree_of(again) as tree:
        (tree / "etc/motd").write_text("third\n")
    third = commit(store, again)
    assert read(store, third, "etc/motd", tmp_path / "at") == b"third\n"


def test_only_what_changed_is_stored(tmp_path: Path, store: ImageStore, first: Version) -> None:
    draft = opened(tmp_path, first)
    with tree_of(draft) as tree:
        (tree / "root/large").write_bytes(os.urandom(20 * MIB))
        (tree / "root/gone").write_bytes(os.urandom(10 * MIB))
        os.sync()
        (tree / "root/gone").unlink()
    second = commit(store, draft)
    assert second.delta is not None
    assert second.delta.changed_bytes >= 20 * MIB
    folder = second.root.path.parent
    stored = sum(each.stat().st_blocks * 512 for each in folder.iterdir())
    assert stored <= 1.05 * 20 * MIB


def test_a_parent_without_a_hash_tree_will_do(tmp_path: Path, store: ImageStore) -> None:
    root = small_root(tmp_path)
    first = publish_format_1(tmp_path / "images", "small", root=root)
    draft = opened(tmp_path, first)
    with tree_of(draft) as tree:
        (tree / "etc/motd").write_text("second\n")
    second = commit(store, draft)
    assert read(store, second, "etc/motd", tmp_path / "at") == b"second\n"


def test_two_drafts_of_one_version_become_two_versions(tmp_path: Path, store: ImageStore, first: Version) -> None:
    for name in ("one", "two"):
        with tree_of(opened(tmp_path, first, name)) as tree:
            (tree / f"etc/{name}").write_text(name)
    versions = [commit(store, drafts(tmp_path).get(name)) for name in ("one", "two")]
    assert [(each.number, each.parent and each.parent.number) for each in versions] == [(2, 1), (3, 1)]
    assert read(store, versions[1], "etc/two", tmp_path / "at") == b"two"
    with pytest.raises(FileNotFoundError):
        read(store, versions[1], "etc/one", tmp_path / "at")


def test_a_system_that_cannot_boot_is_not_published(tmp_path: Path, store: ImageStore, first: Version) -> None:
    draft = opened(tmp_path, first)
    with tree_of(draft) as tree:
        (tree / "boot/vmlinuz-1.0").unlink()
    with pytest.raises(NetbootError, match="no kernel"):
        commit(store, draft)
    assert [each.number for each in store.list()] == [1]
    with tree_of(draft) as tree:
        (tree / "boot/vmlinuz-1.0").write_bytes(b"kernel again")
    assert commit(store, draft).number == 2


def test_a_secret_is_not_published(tmp_path: Path, store: ImageStore, first: Version) -> None:
    draft = opened(tmp_path, first)
    with tree_of(draft) as tree:
        key = tree / "etc/app.key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with pytest.raises(NetbootError, match=r"etc/app\.key"):
        commit(store, draft)
    with tree_of(draft) as tree:
        (tree / "etc/app.key").unlink()
    assert commit(store, draft).number == 2


def test_a_draft_in_use_is_not_published(tmp_path: Path, store: ImageStore, first: Version) -> None:
    draft = opened(tmp_path, first)
    folder = mount(draft)
    with (folder / "etc/os-release").open(), pytest.raises(Conflict, match="somebody uses"):
        commit(store, draft)
    (folder / "etc/motd").write_text("by hand\n")
    assert read(store, commit(store, draft), "etc/motd", tmp_path / "at") == b"by hand\n"
