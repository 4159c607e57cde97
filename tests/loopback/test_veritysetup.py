"""Debian's veritysetup as a second opinion on our hash trees."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from netboot.images import verity
from netboot.system.sparse import SparseFile

BLOCK = 4096
UUID_ = UUID("6f0b7a52-3f0e-5d0c-9a3e-6b0d1c2f4e58")
SALTS = {"salted": b"salt" * 8, "unsalted": b"", "longest salt": bytes(range(256))}
SIZES = (1, 2, 128, 129, 128 * 128, 128 * 128 + 1)


def veritysetup(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["veritysetup", *words], capture_output=True, text=True, timeout=60)


def write_image(file: Path, blocks: int) -> None:
    """Mostly a hole; something in the first, the last and a few blocks between."""
    with SparseFile.open(file, create=True) as image:
        image.resize(blocks * BLOCK)
        for number in {0, blocks // 3, blocks // 2, blocks - 1}:
            image.write(number * BLOCK, bytes((number % 251,)) * BLOCK)


@pytest.mark.parametrize("salt", SALTS.values(), ids=SALTS)
@pytest.mark.parametrize("blocks", SIZES)
def test_our_tree_is_the_one_that_it_makes(tmp_path: Path, blocks: int, salt: bytes) -> None:
    image, ours, theirs = (tmp_path / name for name in ("image", "ours", "theirs"))
    write_image(image, blocks)
    with SparseFile.open(image) as data, SparseFile.open(ours, create=True) as tree:
        root = verity.build(data, tree, salt=salt, uuid=UUID_)
    made = veritysetup("format", image, theirs, "--salt", salt.hex() or "-", "--uuid", str(UUID_))
    assert root.hex in made.stdout, made
    assert ours.read_bytes() == theirs.read_bytes()


def test_it_accepts_our_tree_and_finds_what_we_find(tmp_path: Path) -> None:
    image, ours = tmp_path / "image", tmp_path / "ours"
    write_image(image, 1000)
    with SparseFile.open(image, writable=True) as data, SparseFile.open(ours, create=True) as tree:
        root = verity.build(data, tree, salt=b"salt", uuid=UUID_)
        assert veritysetup("verify", image, ours, root.hex).returncode == 0
        data.write(777 * BLOCK, b"x")
        assert verity.verify(data, tree, root) == verity.Damage(verity.Part.DATA, 777)
        refused = veritysetup("verify", image, ours, root.hex)
    assert refused.returncode != 0
    assert f"position {777 * BLOCK}" in refused.stderr
