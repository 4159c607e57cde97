"""Several processes at work on one store at the same time: each does its work or is told why not, nothing breaks."""

from __future__ import annotations

import os
import random
import sys
import traceback
from pathlib import Path

import pytest

from netboot.errors import Conflict, NotFound
from netboot.images.mending import mend
from netboot.images.store import ImageStore
from tests.images_kit import publish_whole
from tests.kill_kit import damage, do_something, faults

WORKERS = 5
TIMES = 200

pytestmark = pytest.mark.timeout(900)


def test_many_at_work_at_once(tmp_path: Path) -> None:
    images = tmp_path / "images"
    publish_whole(ImageStore(images))
    seed = random.randrange(1 << 32)
    workers = [start(images, seed + number) for number in range(WORKERS)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in workers]
    assert statuses == [0] * WORKERS, f"seed {seed}"
    assert max(each.number for each in ImageStore(images).list()) > 20, f"seed {seed}: hardly anything was published"
    assert damage(images) == []
    for fault in faults(images):
        assert mend(ImageStore(images), fault), f"seed {seed}: {fault}"
    assert faults(images) == []


def start(images: Path, seed: int) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(ImageStore(images), random.Random(seed))
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)
    return child


def work(store: ImageStore, chance: random.Random) -> None:
    for _ in range(TIMES):
        try:
            do_something(store, chance, lambda _: None)
        except (Conflict, NotFound):
            continue  # somebody else is at work on the image, or has removed the version
        assert damage(store.directory) == []
