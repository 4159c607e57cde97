from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from netboot.errors import Conflict, NetbootError, NotFound
from netboot.images.entries import FILES
from netboot.images.measure import measure_whole
from netboot.images.store import ImageStore
from netboot.images.tags import Tags
from netboot.images.whole import Damage, damage_of
from netboot.model.image import Digest, Parent, Version
from netboot.model.names import LATEST, VersionRef
from tests.images_kit import (
    assert_whole,
    block,
    manifest_for,
    publish_delta,
    publish_format_1,
    publish_whole,
    write_boot_files,
    write_root,
)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def publish(store: ImageStore, image: str = "debian") -> Version:
    return publish_whole(store, image)


def find(store: ImageStore, ref: str) -> Version | None:
    return store.find(VersionRef.parse(ref))


def leftovers(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_versions_count_from_1_and_the_newest_is_the_latest(store: ImageStore) -> None:
    first, second = publish(store), publish(store)
    assert (first.number, second.number) == (1, 2)
    assert find(store, "debian") == second
    assert find(store, "debian:1") == first
    assert find(store, "debian:3") is None
    assert store.list() == (first, second)


def test_what_another_process_publishes_is_seen_though_the_folder_was_listed_before(store: ImageStore) -> None:
    publish(store)
    folder = store._directory / "debian"
    os.utime(folder, (1_000_000_000, 1_000_000_000))  # long settled, so that the listing is kept
    assert find(store, "debian") == find(store, "debian:1")
    theirs = publish(ImageStore(store._directory))
    assert find(store, "debian") == theirs
    shutil.rmtree(folder / "2")
    assert find(store, "debian:2") is None


def test_ten_comes_after_nine(store: ImageStore) -> None:
    for _ in range(10):
        publish(store)
    latest = find(store, "debian")
    assert latest is not None and latest.number == 10


def test_a_published_file_cannot_be_written_by_accident(store: ImageStore) -> None:
    assert publish(store).root.path.stat().st_mode & 0o222 == 0


def test_another_store_reads_what_this_one_wrote(store: ImageStore, tmp_path: Path) -> None:
    version = publish(store)
    assert ImageStore(tmp_path / "images").get(VersionRef("debian")) == version


@pytest.mark.parametrize(
    ("ref", "hint"),
    [("debain", "there is debian"), ("debian:7", "there is debian:1"), ("debian:stable", "there is debian:1")],
)
def test_what_is_missing_is_told_with_what_there_is(store: ImageStore, ref: str, hint: str) -> None:
    publish(store)
    with pytest.raises(NotFound) as caught:
        store.get(VersionRef.parse(ref))
    assert caught.value.hint == hint


def test_without_any_image_the_hint_is_to_build_one(store: ImageStore) -> None:
    with pytest.raises(NotFound) as caught:
        store.get(VersionRef("debian"))
    assert caught.value.hint == "build it: netboot image build debian"


def test_a_failure_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), store.stage("debian") as staging:
        (staging.scratch / "half").write_text("x")
        raise RuntimeError
    assert leftovers(tmp_path) == []
    assert store.list() == ()


def test_an_interruption_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), store.stage("debian") as staging:
        (staging.version / "root.ext4").write_text("half")
        raise KeyboardInterrupt
    assert leftovers(tmp_path) == []


def test_what_a_killed_build_left_is_removed_by_the_next(store: ImageStore, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with store.stage("debian") as staging:
            (staging.version / "root.ext4").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(leftovers(tmp_path)) == 1
    assert store.list() == ()
    publish(store)
    assert leftovers(tmp_path / "images/.staging") == []


def test_two_builds_of_one_image_at_a_time_are_refused(store: ImageStore) -> None:
    with store.stage("debian"):
        with pytest.raises(Conflict, match="being built"), store.stage("debian"):
            pytest.fail("two builds at once")
        publish(store, "other")


def test_every_bit_is_verified(store: ImageStore) -> None:
    version = publish(store)
    assert version.root.verity is not None
    told: list[int] = []
    assert list(damage_of(version, told.append)) == []
    assert sum(told) == version.size_bytes + version.root.verity.tree.size_bytes
    version.kernel.path.chmod(0o644)
    version.kernel.path.write_text("changed")
    assert list(damage_of(version)) == [Damage(version.kernel.path, "is not what was published")]


def test_a_broken_manifest_is_an_error_and_not_an_absence(store: ImageStore, tmp_path: Path) -> None:
    file = publish(store).root.path.parent / "manifest.json"
    file.chmod(0o644)
    file.write_text("{}")
    with pytest.raises(NetbootError, match=r"manifest\.json cannot be read: it lacks"):
        ImageStore(tmp_path / "images").list()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_text_is_an_error_that_names_the_file(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    file = publish(store).root.path.parent / "manifest.json"
    file.chmod(0o644)
    file.write_bytes(content)
    with pytest.raises(NetbootError, match=r"manifest\.json cannot be read"):
        ImageStore(tmp_path / "images").find(VersionRef("debian"))


def test_what_lies_about_among_images_is_no_image(store: ImageStore, tmp_path: Path) -> None:
    publish(store)
    (tmp_path / "images" / "file").touch()
    (tmp_path / "images" / "dangling").symlink_to("nowhere")
    assert store.names() == ("debian",)
    assert ImageStore(tmp_path / "images" / "file").names() == ()


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(store: ImageStore, tmp_path: Path) -> None:
    publish(store)
    (tmp_path / "images" / "loop").symlink_to("loop")
    with pytest.raises(NetbootError, match="images/loop cannot be read"):
        store.list()


def test_a_file_that_is_gone_is_found(store: ImageStore) -> None:
    version = publish(store)
    version.root.path.unlink()
    assert list(damage_of(version)) == [Damage(version.root.path, "is missing")]


def test_a_version_under_another_number_is_not_believed(store: ImageStore, tmp_path: Path) -> None:
    home = publish(store).root.path.parent
    home.rename(home.with_name("5"))
    with pytest.raises(NetbootError, match="belongs to debian:1"):
        ImageStore(tmp_path / "images").get(VersionRef("debian"))


def test_the_name_alone_and_latest_are_the_newest_while_there_is_no_tag(store: ImageStore) -> None:
    publish(store)
    newest = publish(store)
    assert store.find(VersionRef("debian")) == store.find(VersionRef("debian", LATEST)) == newest


def test_versions_that_hold_the_same_share_it(store: ImageStore) -> None:
    one = publish(store)
    two = publish_delta(store, one, {3: block("new")})
    for name in ("vmlinuz", "initrd.img"):
        (one.root.path.parent / name).stat()
    with store.stage("debian") as staging:
        for name in ("vmlinuz", "initrd.img"):
            (staging.version / name).write_bytes((two.kernel.path.parent / name).read_bytes())
        write_root(staging.version / "root.ext4", {0: block("other")})
        three = store.publish(staging, manifest_for(staging, measure_whole(staging.version, "debian", 3)))
    assert three.kernel.path.samefile(two.kernel.path)
    assert not two.kernel.path.samefile(one.kernel.path)
    assert_whole(one, two, three)


def test_a_version_can_be_stored_as_its_changes_alone(store: ImageStore) -> None:
    one = publish(store)
    two = publish_delta(store, one, {3: block("new"), 9: block("newer")})
    assert two.parent == Parent(number=1, digest=one.digest)
    assert two.delta is not None and two.delta.changed_bytes == 2 * 4096
    assert not two.root.path.exists()
    assert store.manifest(two).origin.name == "draft"


def test_what_lacks_a_file_or_has_one_too_many_is_not_published(store: ImageStore) -> None:
    for name in ("vmlinuz", "stray"):
        with store.stage("debian") as staging:
            write_boot_files(staging.version, "x")
            write_root(staging.version / FILES["root"], {})
            manifest = manifest_for(staging, measure_whole(staging.version, "debian", 1))
            (staging.version / "vmlinuz").unlink() if name == "vmlinuz" else (staging.version / name).touch()
            with pytest.raises(ValueError, match="staged are"):
                store.publish(staging, manifest)
    assert store.list() == ()


def test_changes_to_a_parent_that_is_gone_are_refused(store: ImageStore) -> None:
    one = publish(store)
    with pytest.raises(Conflict, match="is another one than before"):
        publish_delta(store, replace(one, digest=Digest("0" * 64)), {3: block("new")})
    assert store.list() == (one,)


def test_a_damaged_object_is_replaced_by_the_next_version_that_holds_the_same(store: ImageStore) -> None:
    one = publish(store)
    one.kernel.path.chmod(0o644)
    one.kernel.path.write_text("x" * one.kernel.size_bytes)
    with store.stage("debian") as staging:
        write_boot_files(staging.version, "debian:1")
        write_root(staging.version / "root.ext4", {0: block("other")})
        two = store.publish(staging, manifest_for(staging, measure_whole(staging.version, "debian", 2)))
    assert_whole(two)
    assert two.kernel.path.read_text() == "kernel of debian:1"


def test_versions_of_the_first_format_are_read_as_they_are(store: ImageStore, tmp_path: Path) -> None:
    old = publish_format_1(tmp_path / "images")
    assert (old.number, old.parent, old.root.verity) == (1, None, None)
    assert_whole(old)
    two = publish(store)
    assert (store.list(), two.number) == ((old, two), 2)
    old.root.path.chmod(0o644)
    old.root.path.write_bytes(b"x" * old.root.size_bytes)
    assert list(damage_of(old)) == [Damage(old.root.path, "is not what was published")]


def stable(number: int) -> Callable[[Tags], Tags]:
    return lambda tags: tags.set("stable", number, at=0.0)


def test_the_name_alone_means_stable_once_there_is_that_tag(store: ImageStore) -> None:
    one, two = publish(store), publish(store)
    assert find(store, "debian") == two
    store.change_tags("debian", stable(1))
    assert [find(store, ref) for ref in ("debian", "debian:stable", "debian:latest")] == [one, one, two]
    assert find(store, "debian:test") is None


def test_a_tag_that_another_process_moves_is_seen_though_it_was_read_before(store: ImageStore) -> None:
    one, two = publish(store), publish(store)
    store.change_tags("debian", stable(1))
    file = store._directory / "debian" / "tags.json"
    os.utime(file, (1_000_000_000, 1_000_000_000))  # long settled, so that it is kept
    assert find(store, "debian") == one
    assert store.tags("debian") is store.tags("debian")
    ImageStore(store._directory).change_tags("debian", stable(2))
    assert find(store, "debian") == two
    file.unlink()
    assert store.tags("debian").current == {}


def test_tags_of_an_image_that_there_is_not_cannot_be_changed(store: ImageStore) -> None:
    with pytest.raises(NotFound, match="there is no image gone"):
        store.change_tags("gone", stable(1))
    assert not (store._directory / "gone").exists()


def test_damaged_tags_are_an_error_and_not_an_absence(store: ImageStore) -> None:
    publish(store)
    (store._directory / "debian" / "tags.json").write_text("{}")
    with pytest.raises(NetbootError, match=r"tags\.json cannot be read"):
        find(store, "debian")
    assert find(store, "debian:1") is not None


def test_a_child_shares_kernel_and_initrd_with_a_parent_of_the_first_format(store: ImageStore, tmp_path: Path) -> None:
    old = publish_format_1(tmp_path / "images")
    two = publish_delta(store, old, {3: block("new")}, boot_files="debian:1")
    for one, other in ((old.kernel, two.kernel), (old.initrd, two.initrd)):
        assert one.path.samefile(other.path)
    assert_whole(old, two)
    three = publish_delta(store, old, {3: block("newer")})
    assert not three.kernel.path.samefile(old.kernel.path)
