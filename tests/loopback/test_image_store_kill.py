"""kill -9 before each step of work on the store: it checks clean, nothing published is lost, nothing half is seen."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from netboot.images.mending import mend
from netboot.images.store import ImageStore
from netboot.images.tags import Tags
from tests.images_kit import block, publish_delta, publish_whole
from tests.kill_kit import damage, faults, find, gc, killed_at, remove, set_stable

# Hundreds of processes: on a busy machine they take their time.
pytestmark = pytest.mark.timeout(900)

Work = Callable[[ImageStore], object]


def damage_and_mend(store: ImageStore) -> None:
    for fault in faults(store.directory):
        mend(store, fault)


# What is done to a store of four versions, of which 2 and 3 are changes and 3 has its root, and what is left of them.
WORKS: dict[str, tuple[Work, set[int]]] = {
    "publish whole": (lambda store: publish_whole(store), {1, 2, 3, 4, 5}),
    "publish changes": (lambda store: publish_delta(store, find(store, 3), {9: block("nine")}), {1, 2, 3, 4, 5}),
    "publish the first of an image": (lambda store: publish_whole(store, "kiosk"), {1, 2, 3, 4}),
    "make a root": (lambda store: store.materialise(find(store, 2)), {1, 2, 3, 4}),
    "make whole": (lambda store: store.make_whole(find(store, 2)), {1, 2, 3, 4}),
    "move a tag": (lambda store: set_stable(store, 3), {1, 2, 3, 4}),
    "remove": (lambda store: remove(store, find(store, 3)), {1, 2, 4}),
    "remove all": (
        lambda store: remove(store, *(find(store, number) for number in (4, 3, 2, 1))),
        set(),
    ),
    "gc": (lambda store: gc(store, None), {1, 2, 3, 4}),
    "gc of versions": (lambda store: gc(store, 1), {4}),
    "mend a root": (damage_and_mend, {1, 2, 3, 4}),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = tmp_path_factory.mktemp("base") / "images"
    store = ImageStore(images)
    versions = [publish_whole(store)]
    for number in (2, 3):
        store.materialise(versions[-1])
        versions.append(publish_delta(store, versions[-1], {number: block(f"of {number}"), 7: bytes(4096)}))
    store.materialise(versions[2])
    versions[1].root.path.unlink()
    assert versions[1].root.verity is not None
    versions[1].root.verity.tree.path.unlink()
    publish_whole(store)
    return images


def copied(base: Path, to: Path) -> Path:
    """With its links as they are."""
    subprocess.run(["rm", "-rf", to], check=True)
    subprocess.run(["cp", "-a", base, to], check=True)
    return to


def numbers(images: Path) -> set[int]:
    return {each.number for each in ImageStore(images).list() if each.image == "debian"}


@pytest.mark.parametrize("name", WORKS)
def test_killed_at_each_of_its_steps(base: Path, tmp_path: Path, name: str) -> None:
    """Each time what is there is whole, what was left behind can be cleared, and the work can be done again."""
    work, left = WORKS[name]
    step = 0
    while True:
        step += 1
        images = copied(base, tmp_path / "images")
        before = numbers(images)
        if name == "mend a root":
            root = find(ImageStore(images), 3).root.path
            root.chmod(0o644)
            with root.open("r+b") as file:
                file.write(b"damage")
        if not killed_at(step, images, partial(work, ImageStore(images))):
            break
        if name == "mend a root":
            damage_and_mend(ImageStore(images))
        assert damage(images) == [], f"killed at step {step}"
        # None that stays is missing at any time, and none is seen but those of before and after.
        assert before & left <= numbers(images) <= before | left, f"killed at step {step}"
        if step % 3:
            continue
        for fault in faults(images):
            assert mend(ImageStore(images), fault), f"killed at step {step}: {fault}"
        assert faults(images) == [], f"killed at step {step}"
        if numbers(images) == before and step % 9 == 0:
            work(ImageStore(images))
            assert numbers(images) == left
            assert damage(images) == []
    assert step > 5, "nothing was killed"
    assert (numbers(images), faults(images)) == (left, [])


def test_tags_that_were_moved_are_not_lost(tmp_path: Path) -> None:
    """A move that was reported stays, whatever is killed afterwards."""
    images = tmp_path / "images"
    store = ImageStore(images)
    publish_whole(store)
    publish_whole(store)
    for step in range(1, 8):
        set_stable(ImageStore(images), 1)
        killed_at(step, images, lambda: set_stable(ImageStore(images), 2))
        tags: Tags = ImageStore(images).tags("debian")
        assert tags.current["stable"] in (1, 2)
        assert damage(images) == []
        killed_at(step, images, lambda: publish_whole(ImageStore(images)))
        assert ImageStore(images).tags("debian").current == tags.current
