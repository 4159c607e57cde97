"""Two builds of one recipe, by the command that people use: at other times, by other habits, on other file systems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.config.paths import recipes_dir
from netboot.errors import NetbootError
from netboot.images.builder import BuildOptions, package_sources
from netboot.images.mirror import release_urls
from netboot.images.recipe import load_recipe
from netboot.images.store import ImageStore
from netboot.images.whole import damage_of
from netboot.model.image import Version
from netboot.model.names import VersionRef
from netboot.system.apt import fetch
from tests.kit import cannot_run

NAME = "debian-minimal"
_NEEDED = 6 << 30
# In memory names are listed in another order than on a disk.
_MEMORY = Path("/dev/shm")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system, if there is one with room."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2 * _NEEDED
    with tempfile.TemporaryDirectory(dir=_MEMORY if roomy else tmp_path) as folder:
        yield Path(folder)


def build(data_dir: Path, *words: str, umask: int = 0o022, **environ: str) -> Version:
    argv = [sys.executable, "-m", "netboot", "image", "build", NAME, "--data-dir", str(data_dir), *words]
    ended = subprocess.run(
        argv, capture_output=True, text=True, env={**os.environ, **environ}, preexec_fn=lambda: os.umask(umask) and None
    )
    assert ended.returncode == 0, ended.stderr
    return ImageStore(data_dir / "images").get(VersionRef(NAME, 1))


@pytest.mark.timeout(1800)
def test_a_recipe_and_its_packages_give_the_same_bits(tmp_path: Path, elsewhere: Path) -> None:
    recipe = load_recipe(recipes_dir(), NAME)
    try:
        fetch(release_urls(package_sources(recipe, BuildOptions()))[0])
    except NetbootError as error:
        cannot_run(f"no package archive: {error}")
    if shutil.disk_usage(tmp_path).free < _NEEDED:
        cannot_run(f"no room for a build in {tmp_path}")
    one = build(tmp_path)
    manifest = one.root.path.parent / "manifest.json"
    two = build(elsewhere, "--locked", str(manifest), "--note", "again", umask=0o077, TZ="Pacific/Auckland", LC_ALL="C")
    assert one.root.verity and two.root.verity
    digests = [(each.kernel.digest, each.initrd.digest, each.root.verity.root_hash) for each in (one, two)]  # type: ignore[union-attr]
    assert digests[0] == digests[1]
    assert one.digest == two.digest
    assert one.created_at < two.created_at
    # Both say whole bits, not the same hash of nothing.
    assert list(damage_of(one)) == []
    with one.root.path.open("rb") as first, two.root.path.open("rb") as second:
        while chunk := first.read(1 << 20):
            assert chunk == second.read(1 << 20)
