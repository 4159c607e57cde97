"""A short run of `make soak`: commands killed at random, as people run them, and what they leave looked at."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netboot.config.paths import recipes_dir
from netboot.errors import NetbootError
from netboot.images.builder import BuildOptions, package_sources
from netboot.images.mirror import release_urls
from netboot.images.recipe import load_recipe
from netboot.system.apt import fetch
from tests.kit import cannot_run

ROOT = Path(__file__).parents[2]
# On a busy machine it takes its time.
pytestmark = pytest.mark.timeout(900)


def soak(folder: Path, *words: str) -> str:
    """What it says of a run in which nothing was found."""
    argv = [sys.executable, "-m", "tests.soak", *words, "--seed", str(random.randrange(1 << 32)), "--folder", folder]
    ran = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True, errors="replace")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert list(folder.iterdir()) == []
    return ran.stdout


@pytest.mark.parametrize("work", ["import", "commit", "gc"])
def test_nothing_is_lost_or_half_seen(work: str, tmp_path: Path) -> None:
    said = soak(tmp_path, work, "--points", "10")
    assert f"\n| {work} | 10 |" in said
    assert "versions to be what was published" in said


def test_a_build_that_is_killed_leaves_nothing_to_be_seen(tmp_path: Path) -> None:
    """While packages come and are unpacked; what publishes them is what publishes an import."""
    recipe = load_recipe(recipes_dir(), "debian-minimal")
    try:
        fetch(release_urls(package_sources(recipe, BuildOptions()))[0])
    except NetbootError as error:
        cannot_run(f"no package archive: {error}")
    if shutil.disk_usage(tmp_path).free < 3 << 30:
        cannot_run(f"no room for a build in {tmp_path}")
    assert "\n| build | 3 |" in soak(tmp_path, "build", "--points", "3", "--within", "15")
