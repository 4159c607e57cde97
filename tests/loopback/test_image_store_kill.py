"""kill -9 at any point of any work on the store: it checks clean, nothing published is lost, nothing half is seen."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from netboot.images.garbage import collect, garbage, stock_of
from netboot.images.gcplan import plan_gc
from netboot.images.holders import Wants, holders_of
from netboot.images.mending import mend
from netboot.images.removal import remove_versions
from netboot.images.store import ImageStore
from netboot.images.tags import Tags
from netboot.model.image import Version
from netboot.model.names import LATEST, VersionRef
from tests.images_kit import block, publish_delta, publish_whole
from tests.kill_kit import damage, faults, killed_at

# Hundreds of processes: on a busy machine they take their time.
pytestmark = pytest.mark.timeout(900)

Work = Callable[[ImageStore], object]


def find(store: ImageStore, number: int) -> Version:
    return store.get(VersionRef("debian", number))


def no_check(labels: Sequence[str] = ()) -> None:
    """Nobody holds anything."""


def gc(store: ImageStore, keep: int | None) -> None:
    versions = {each.label: each for each in store.list()}
    wants = Wants(tags={name: store.tags(name) for name in store.names()})
    stock = stock_of(store)
    plan = plan_gc(stock, holders_of(stock, wants), keep=keep)
    list(garbage(store, plan, versions))
    collect(store, plan, versions, check=no_check)


def set_stable(store: ImageStore, number: int) -> None:
    store.change_tags("debian", lambda tags: tags.set("stable", number, at=1.0))


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
    "remove": (lambda store: remove_versions(store, "debian", [find(store, 3)], check=no_check), {1, 2, 4}),
    "remove all": (
        lambda store: remove_versions(store, "debian", [find(store, n) for n in (4, 3, 2, 1)], check=no_check),
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
        for fault in faults(images):
            assert mend(ImageStore(images), fault), f"killed at step {step}: {fault}"
        assert faults(images) == [], f"killed at step {step}"
        if numbers(images) == before and step % 10 == 0:
            work(ImageStore(images))
            assert numbers(images) == left
            assert damage(images) == []
    assert step > 5, "nothing was killed"
    assert (numbers(images), faults(images)) == (left, [])


def test_killed_two_hundred_times_at_random(tmp_path: Path) -> None:
    """One store, worked on by one process after another, each killed in the middle of something."""
    images = tmp_path / "images"
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    publish_whole(ImageStore(images))
    there = {1: str(find(ImageStore(images), 1).digest)}
    done = 0
    for round in range(200):
        said = work_until_killed(images, seed + round, lines=chance.randrange(1, 5), then_s=chance.uniform(0.0, 0.02))
        for line in said:
            what, number, digest = line.split()
            if what == "published":
                there[int(number)] = digest
            elif what == "removing":
                there.pop(int(number), None)
        done += sum(line.startswith("published") for line in said)
        store = ImageStore(images)
        assert damage(images) == [], f"seed {seed}, round {round}"
        found = {each.number: str(each.digest) for each in store.list()}
        assert there.items() <= found.items(), f"seed {seed}, round {round}: lost"
        there = found
        if round % 20 == 0:
            for fault in faults(images):
                assert mend(store, fault), f"seed {seed}, round {round}: {fault}"
            assert faults(images) == [], f"seed {seed}, round {round}"
    assert done > 20, f"seed {seed}: hardly anything was published in between"


def work_until_killed(images: Path, seed: int, *, lines: int, then_s: float) -> list[str]:
    """What a process said that it had done, or was about to, until it was killed: after so many lines, and a while."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            work_on(images, random.Random(seed), lambda text: os.write(writer, f"{text}\n".encode()))
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = [pipe.readline() for _ in range(lines)]
        time.sleep(then_s)
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said += pipe.readlines()
    assert status == -signal.SIGKILL, "the work failed"
    return said


def work_on(images: Path, chance: random.Random, say: Callable[[str], object]) -> None:
    """Publish, make roots, move tags, remove and clear, for ever."""
    while True:
        store = ImageStore(images)
        versions = store.list()
        some = chance.choice(versions)
        say("working on -")
        match chance.randrange(6):
            case 0:
                told(publish_whole(store), say)
            case 1:
                parent = store.get(VersionRef("debian", LATEST))
                store.materialise(parent)
                told(publish_delta(store, parent, {chance.randrange(40): block(str(chance.random()))}), say)
            case 2:
                store.materialise(some)
            case 3:
                set_stable(store, some.number)
            case 4:
                remove_some(store, some, say)
            case 5:
                before = {each.number for each in versions}
                for number in before - {max(before)}:
                    say(f"removing {number} -") if len(before) > 6 else None
                gc(store, 3 if len(before) > 6 else None)


def told(version: Version, say: Callable[[str], object]) -> None:
    say(f"published {version.number} {version.digest}")


def remove_some(store: ImageStore, version: Version, say: Callable[[str], object]) -> None:
    """If nobody needs it."""
    stock = stock_of(store)
    held = holders_of(stock, Wants(tags={"debian": store.tags("debian")}))
    if not held[version.label]:
        say(f"removing {version.number} -")
        remove_versions(store, "debian", [version], check=no_check)


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
