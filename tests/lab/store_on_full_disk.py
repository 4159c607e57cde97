"""Work on a store whose disk runs full, on a small tmpfs that vanishes with the process: see test_image_disk_full.py.

usage, in a mount namespace of its own: python store_on_full_disk.py FOLDER
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netboot.errors import NetbootError
from netboot.images.mending import mend
from netboot.images.store import ImageStore
from netboot.model.names import VersionRef
from tests.images_kit import block, publish_delta, publish_whole
from tests.kill_kit import damage, faults

PAGE = 4096
MOUNT_BYTES = 2 << 20

Work = Callable[[ImageStore], object]


def two(store: ImageStore) -> Any:
    return store.get(VersionRef("debian", 2))


WORKS: Mapping[str, Work] = {
    "publish whole": lambda store: publish_whole(store, blocks={number: block(str(number)) for number in range(20)}),
    "publish changes": lambda store: publish_delta(
        store, store.get(VersionRef("debian", 1)), {number: block(str(number)) for number in range(20)}
    ),
    "make a root": lambda store: store.materialise(two(store)),
    "move a tag": lambda store: store.change_tags("debian", lambda tags: tags.set("stable", 1, at=1.0)),
}


def main(folder: Path) -> dict[str, Any]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MOUNT_BYTES}", "none", folder], check=True)
    images = folder / "images"
    store = ImageStore(images)
    one = publish_whole(store)
    publish_delta(store, one, {number: block(f"two {number}") for number in range(10, 30)})
    return {name: run_out_of_space(folder, images, work) for name, work in WORKS.items()}


def run_out_of_space(folder: Path, images: Path, work: Work) -> dict[str, Any]:
    """Do the work with no page of space, one, and so on, until it succeeds."""
    failures: list[str] = []
    wrong: list[str] = []
    for pages in range(200):
        before = [each.label for each in ImageStore(images).list()]
        fill(folder / "filler", leave=pages * PAGE)
        try:
            work(ImageStore(images))
            return {
                "failures": len(failures),
                "kinds": sorted(set(failures) - {"ENOSPC", "Unavailable"}),
                "wrong": wrong,
            }
        except OSError as error:
            failures.append(errno.errorcode[error.errno or 0])
        except NetbootError as error:
            failures.append(type(error).__name__)
        finally:
            (folder / "filler").unlink()
        wrong += damage(images)
        if [each.label for each in ImageStore(images).list()] != before:
            wrong.append(f"other versions than before with {pages} pages")
        wrong += [str(fault) for fault in faults(images) if not mend(ImageStore(images), fault)]
    raise AssertionError("it never succeeded")


def fill(file: Path, *, leave: int) -> None:
    """Take all of the disk but so much."""
    free = os.statvfs(file.parent)
    size = free.f_bavail * free.f_frsize - leave
    with file.open("wb") as filler:
        if size > 0:
            os.posix_fallocate(filler.fileno(), 0, size)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
