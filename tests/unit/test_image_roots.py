from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from netboot.errors import NetbootError, Unavailable
from netboot.images import delta
from netboot.images.roots import NEW_NAMES, Lineage, has_root, lineage_of
from netboot.images.store import ImageStore
from netboot.images.whole import damage_of
from netboot.model.image import Version
from netboot.system.sparse import SparseFile
from tests.images_kit import ROOT_BYTES, block, publish_delta, publish_whole


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def drop_root(version: Version) -> None:
    version.root.path.unlink()
    if version.root.verity:
        version.root.verity.tree.path.unlink()


def chain(store: ImageStore, length: int = 3) -> list[Version]:
    """Versions of which each changes one block of the one before, and none but the first has its root."""
    versions = [publish_whole(store, blocks={0: block("base"), 5: block("kept")})]
    for number in range(2, length + 1):
        store.materialise(versions[-1])
        versions.append(publish_delta(store, versions[-1], {number: block(f"of {number}"), 5: bytes(4096)}))
    for version in versions[1:-1]:
        drop_root(version)
    return versions


def leftovers(version: Version) -> list[str]:
    return [file.name for file in version.root.path.parent.iterdir() if file.name in NEW_NAMES]


def test_a_root_is_made_from_the_nearest_that_is_there(store: ImageStore) -> None:
    one, two, three = chain(store)
    assert [has_root(each) for each in (one, two, three)] == [True, False, False]
    assert store.materialise(three) == three.root.path
    assert [has_root(each) for each in (one, two, three)] == [True, False, True]
    with SparseFile.open(three.root.path) as root:
        read = {number: root.read(number * 4096, 4096) for number in (0, 2, 3, 5)}
    assert read == {0: block("base"), 2: block("of 2"), 3: block("of 3"), 5: bytes(4096)}
    assert three.root.path.stat().st_size == ROOT_BYTES
    assert three.root.path.stat().st_mode & 0o222 == 0
    assert list(damage_of(three)) == []
    assert leftovers(three) == []
    store.materialise(two)
    drop_root(three)
    assert lineage_of(three, store.find) == Lineage(two, (three,))


def test_what_is_there_is_not_made_again(store: ImageStore) -> None:
    one, two = chain(store, 2)
    store.materialise(two)
    before = two.root.path.stat().st_ino
    store.materialise(two)
    store.materialise(one)
    assert two.root.path.stat().st_ino == before


def test_holes_stay_holes(store: ImageStore) -> None:
    _, two = chain(store, 2)
    store.materialise(two)
    with SparseFile.open(two.root.path) as root:
        assert sum(stop - start for start, stop in root.data(0, ROOT_BYTES)) <= 3 * 4096


def test_the_work_is_told_as_it_was_foreseen(store: ImageStore) -> None:
    *_, three = chain(store)
    expected, told = lineage_of(three, store.find).work_bytes, list[int]()
    store.materialise(three, told.append)
    assert sum(told) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("damaged", ["delta", "base"])
def test_what_it_is_made_of_is_named_when_it_is_damaged(store: ImageStore, damaged: str) -> None:
    one, two, three = chain(store)
    assert two.delta is not None
    file, offset = (two.delta.path, 2 * 4096) if damaged == "delta" else (one.root.path, 0)
    file.chmod(0o644)
    with SparseFile.open(file, writable=True) as content:
        content.write(offset, b"!")
    with pytest.raises(NetbootError, match="is not what was published") as caught:
        store.materialise(three)
    assert caught.value.hint is not None and str(file) in caught.value.hint
    assert not has_root(three)
    assert leftovers(three) == []


def test_a_delta_that_is_none_or_gone_is_named(store: ImageStore) -> None:
    *_, two, three = chain(store)
    assert two.delta is not None
    two.delta.path.chmod(0o644)
    two.delta.path.write_bytes(b"junk" * 5000)
    with pytest.raises(NetbootError, match=r"2/root\.delta is damaged: this is no copy-on-write device"):
        store.materialise(three)
    two.delta.path.unlink()
    with pytest.raises(NetbootError, match=r"2/root\.delta is missing"):
        store.materialise(three)


def test_a_parent_that_is_gone_or_another_is_told(store: ImageStore, tmp_path: Path) -> None:
    _, two = chain(store, 2)
    folder = tmp_path / "images/debian/1"
    folder.rename(tmp_path / "aside")
    with pytest.raises(NetbootError, match="debian:2 is stored as its changes to debian:1, which is gone"):
        ImageStore(tmp_path / "images").materialise(two)
    other = publish_whole(ImageStore(tmp_path / "other"), blocks={0: block("another")})
    other.root.path.parent.rename(folder)
    with pytest.raises(NetbootError, match="which is another one"):
        ImageStore(tmp_path / "images").materialise(two)


def test_a_whole_root_that_is_lost_cannot_be_made(store: ImageStore) -> None:
    one, two = chain(store, 2)
    one.root.path.unlink()
    with pytest.raises(NetbootError, match="was stored whole, so nothing can make it again"):
        store.materialise(two)


def test_an_interruption_leaves_what_was_there(store: ImageStore) -> None:
    *_, three = chain(store)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.materialise(three, interrupt)
    assert (has_root(three), leftovers(three)) == (False, [])
    store.materialise(three)


def test_a_full_disk_is_told_and_leaves_nothing(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, three = chain(store)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(delta, "apply", full)
    with pytest.raises(Unavailable, match="No space left on device") as caught:
        store.materialise(three)
    assert "netboot image gc" in (caught.value.hint or "")
    assert (has_root(three), leftovers(three)) == (False, [])


def test_what_a_killed_process_left_is_begun_anew(store: ImageStore) -> None:
    *_, three = chain(store)
    child = os.fork()
    if child == 0:
        store.materialise(three, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    os.waitpid(child, 0)
    assert leftovers(three) != []
    store.materialise(three)
    assert (has_root(three), leftovers(three)) == (True, [])


def test_of_two_processes_one_makes_it_and_the_other_waits(store: ImageStore) -> None:
    *_, three = chain(store)
    begun, go_on = multiprocessing.Event(), multiprocessing.Event()

    def slowly(_: int) -> None:
        begun.set()
        assert go_on.wait(30)

    child = os.fork()
    if child == 0:
        store.materialise(three, slowly)
        os._exit(0)
    assert begun.wait(30)
    made = threading.Event()

    def come_second() -> None:
        store.materialise(three)
        made.set()

    second = threading.Thread(target=come_second)
    second.start()
    assert not made.wait(0.2)
    go_on.set()
    second.join()
    os.waitpid(child, 0)
    assert has_root(three) and leftovers(three) == []
