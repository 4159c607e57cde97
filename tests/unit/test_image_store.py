from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from netboot.errors import Conflict, NetbootError, NotFound
from netboot.images.manifest import FILES, Manifest
from netboot.images.store import ImageStore, Staging, hash_files
from netboot.model.image import Version
from netboot.model.names import VersionRef


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def manifest_for(staging: Staging) -> Manifest:
    return Manifest(
        image=staging.image,
        number=staging.number,
        recipe=staging.image,
        created_at=1.0,
        arch="amd64",
        filesystem="ext4",
        kernel_version="6.1",
        files=hash_files(staging.version),
    )


def publish(store: ImageStore, image: str = "debian") -> Version:
    with store.stage(image) as staging:
        for name in FILES.values():
            (staging.version / name).write_text(f"{name} of {staging.number}")
        return store.publish(staging, manifest_for(staging))


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
    assert len(leftovers(tmp_path)) == len(FILES) + 1


def test_two_builds_of_one_image_at_a_time_are_refused(store: ImageStore) -> None:
    with store.stage("debian"):
        with pytest.raises(Conflict, match="being built"), store.stage("debian"):
            pytest.fail("two builds at once")
        publish(store, "other")


def test_every_bit_is_verified(store: ImageStore) -> None:
    version = publish(store)
    told: list[int] = []
    store.verify(version, told.append)
    assert sum(told) == version.root.size_bytes + version.kernel.size_bytes + version.initrd.size_bytes
    version.kernel.path.chmod(0o644)
    version.kernel.path.write_text("changed")
    with pytest.raises(NetbootError, match="vmlinuz is not what debian:1 was published with"):
        store.verify(version)


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


def test_a_file_that_is_gone_is_found_by_verify(store: ImageStore) -> None:
    version = publish(store)
    version.root.path.unlink()
    with pytest.raises(NetbootError, match=r"root\.ext4 cannot be read"):
        store.verify(version)


def test_a_version_under_another_number_is_not_believed(store: ImageStore, tmp_path: Path) -> None:
    home = publish(store).root.path.parent
    home.rename(home.with_name("5"))
    with pytest.raises(NetbootError, match="belongs to debian:1"):
        ImageStore(tmp_path / "images").get(VersionRef("debian"))
