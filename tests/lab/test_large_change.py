"""A change of 200 MB to a version of 4 GiB: what is stored of it, and what is read of the version to tell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from netboot.images.store import ImageStore
from netboot.model.names import VersionRef
from tests.cli_kit import Cli
from tests.images_kit import assert_whole
from tests.import_kit import MIB, blank, make_bootable_system, mounted
from tests.kit import cannot_run

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1800)]

BLOCK = 4096
FILES, FILE_BYTES = 20, 100 * MIB
# Half of the change is new content of a file that is there, half a new file.
CHANGE = "for at in 7 new; do busybox dd if=/dev/urandom of=/usr/lib/large/$at bs=1M count=100 conv=notrunc; done"


@pytest.mark.parametrize("filesystem", ["", "btrfs"])
def test_no_more_is_stored_than_changed_and_no_more_is_read(filesystem: str, tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 12 << 30:
        cannot_run(f"no room for an image of 4 GiB in {tmp_path}")
    if not filesystem:  # the machine's own
        commit_large_change(tmp_path / "data", tmp_path)
        return
    subprocess.run([f"mkfs.{filesystem}", "-q", blank(tmp_path / "disk", 9 << 30)], check=True)
    with mounted(tmp_path / "disk", tmp_path / "place", "-o", "loop") as place:
        commit_large_change(place / "data", tmp_path)


def commit_large_change(data_dir: Path, scratch: Path) -> None:
    cli = Cli(data_dir)
    old = import_large_system(cli, scratch)
    cli.ok("image", "edit", "large", "--name", "one", "--run", CHANGE)
    forget(old)
    version = cli.ok("image", "commit", "one", "--json").json
    assert version["number"] == 2
    of_parent = resident_bytes(old)
    folder = old.parents[1] / "2"
    stored = sum(each.stat().st_blocks * 512 for each in folder.iterdir())
    store = ImageStore(data_dir / "images")
    second = store.get(VersionRef("large", 2))
    changed = changed_bytes(old, store.materialise(second))
    assert changed >= 200 * MIB
    assert stored <= 1.05 * changed
    # What changed is compared with what was there: 100 MiB of data, and holes.  Of the other 2 GiB nothing is looked at
    # but the file system's own tables and what the kernel reads ahead.
    assert 100 * MIB <= of_parent <= changed + 128 * MIB
    assert_whole(second)


def import_large_system(cli: Cli, scratch: Path) -> Path:
    """The root of a version of 4 GiB, of which half is data that cannot be compressed."""
    tree = make_bootable_system(scratch / "system")
    (tree / "usr/lib/large").mkdir()
    for number in range(FILES):
        with (tree / f"usr/lib/large/{number}").open("wb") as file:
            for _ in range(FILE_BYTES // MIB):
                file.write(os.urandom(MIB))
    cli.ok("image", "import", "large", str(tree), "--size", "4G")
    shutil.rmtree(tree)
    root = cli.data_dir / "images/large/1/root.ext4"
    assert root.stat().st_size == 4 << 30
    assert root.stat().st_blocks * 512 >= FILES * FILE_BYTES
    return root


def forget(file: Path) -> None:
    """Take a file out of memory, so that what is in memory later on was read since."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert resident_bytes(file) < MIB


def resident_bytes(file: Path) -> int:
    argv: list[str | Path] = ["fincore", "--bytes", "--noheadings", "--output", "RES", file]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def changed_bytes(old: Path, new: Path) -> int:
    """The blocks in which two files of one size differ, found by comparing all."""
    assert old.stat().st_size == new.stat().st_size
    changed = 0
    with old.open("rb") as before, new.open("rb") as after:
        while piece := before.read(MIB):
            other = after.read(MIB)
            if piece != other:
                blocks = range(0, len(piece), BLOCK)
                changed += BLOCK * sum(piece[at : at + BLOCK] != other[at : at + BLOCK] for at in blocks)
    return changed
