"""kill -9 two hundred times at random: the store checks clean, nothing published is lost, nothing half is seen."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from netboot.images.mending import mend
from netboot.images.store import ImageStore
from tests.images_kit import publish_whole
from tests.kill_kit import damage, do_something, faults, find

# On a busy machine it takes its time.
pytestmark = pytest.mark.timeout(900)


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
        say("working on -")
        do_something(ImageStore(images), chance, say)
