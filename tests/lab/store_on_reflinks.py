"""A store where files can share blocks, on a disk that vanishes with the process: see test_image_reflinks.py.

usage, in a mount namespace of its own: python store_on_reflinks.py FOLDER FILESYSTEM
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from netboot.exports.disk_files import DiskFiles
from netboot.exports.own_disk import OwnDisk
from netboot.images.entries import BLOCK_BYTES
from netboot.images.store import ImageStore
from tests.images_kit import block, publish_delta, publish_whole
from tests.kill_kit import damage
from tests.kit import MAC

# xfs refuses to be smaller.
DISK_BYTES = 400 << 20
ROOT_BYTES = 40 << 20
CHANGED = 25


def main(folder: Path, filesystem: str) -> dict[str, Any]:
    disk, place = folder / "disk", folder / "place"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run([f"mkfs.{filesystem}", "-q", disk], check=True, stdout=sys.stderr)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    store = ImageStore(place / "images")
    one = publish_whole(store, blocks={number: os.urandom(BLOCK_BYTES) for number in range(ROOT_BYTES // BLOCK_BYTES)})
    two = publish_delta(store, one, {100 * number: block(str(number)) for number in range(CHANGED)})
    before = free(place)
    store.materialise(two)
    taken = before - free(place)
    own, files = OwnDisk(mac=MAC, image="debian", number=two.number, generation=1), DiskFiles(place / "clients")
    before = free(place)
    files.make(own, two.root.path)
    return {
        "damage": damage(store.directory),
        "root": two.root.path.stat().st_blocks * 512,
        "taken": taken,
        "own disk": files.file(own).read_bytes() == two.root.path.read_bytes(),
        "taken by it": before - free(place),
    }


def free(place: Path) -> int:
    os.sync()
    state = os.statvfs(place)
    return state.f_bavail * state.f_frsize


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
