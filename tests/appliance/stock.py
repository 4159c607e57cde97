"""What the appliance tries device-mapper on: versions of a real file system, their deltas and hash trees.

Each version is made of the one before in place, as an edit of an image makes them: debugfs writes and removes files
without a mount, and e2fsck gives freed blocks back as holes, as fstrim does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from uuid import UUID

from netboot.images import delta, verity
from netboot.images.blocks import Patch
from netboot.images.cow import CHUNK_BYTES, open_cow, write_cow
from netboot.model.image import Digest
from netboot.system.commands import run
from netboot.system.sparse import SparseFile

MIB = 1 << 20
BLOCK = 4096
SIZE, LARGER_SIZE = 24 * MIB, 40 * MIB
LARGE_CHUNK_BYTES = 32768

_PAGE = Path(__file__).parents[2] / "docs" / "images.md"


@dataclass(frozen=True)
class Stock:
    """A folder with versions `a`, `b`, `c` (which is larger) and `f`; deltas named by two of them; scripts; trees.

    `root` is that of `b.verity`, the tree over `b`; `bad` is `b` with one bit of block `bad_block` flipped.
    """

    folder: Path
    root: Digest
    bad_block: int

    def sha256(self, version: str) -> str:
        return sha256((self.folder / version).read_bytes()).hexdigest()


def make_stock(folder: Path) -> Stock:
    folder.mkdir()
    stage = folder.parent / "stage"
    stage.mkdir()
    a, b, c = folder / "a", folder / "b", folder / "c"
    make_first(a, stage / "tree")
    make_second(b, a, stage)
    make_third(c, b, stage)
    make_full_area(folder / "f", a)
    for pair in ("aa", "ab", "ba", "bc", "cb", "af", "fa"):
        _make_delta(folder, pair)
    _make_delta(folder, "ab", suffix=".large", chunk_bytes=LARGE_CHUNK_BYTES)
    with SparseFile.open(folder / "ab") as first, SparseFile.open(folder / "bc") as second:
        _write_delta(folder / "ac", delta.compose([open_cow(first), open_cow(second)]))
    for name, heading in (("look", "Look at a version"), ("merge", "Merge a delta"), ("check", "Check what is read")):
        (folder / f"{name}.sh").write_text(documented(heading), encoding="utf-8")
    return Stock(folder, _make_trees(folder), _make_bad(folder))


def documented(heading: str) -> str:
    """The commands that docs/images.md shows below a heading that begins so."""
    found = re.search(
        rf"^### {heading}.*?^```sh\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, f"{_PAGE} shows no commands below {heading!r}"
    return found.group(1)


def _make_delta(folder: Path, pair: str, *, suffix: str = "", chunk_bytes: int = CHUNK_BYTES) -> None:
    with SparseFile.open(folder / pair[0]) as old, SparseFile.open(folder / pair[1]) as new:
        _write_delta(folder / f"{pair}{suffix}", delta.make(old, new, chunk_bytes=chunk_bytes), chunk_bytes)


def _write_delta(file: Path, patches: Iterator[Patch], chunk_bytes: int = CHUNK_BYTES) -> None:
    with SparseFile.open(file, create=True) as target:
        write_cow(target, patches, chunk_bytes=chunk_bytes)


def _make_trees(folder: Path) -> Digest:
    """The tree over the first version, and of it the second's, as publication makes it."""
    uuid = UUID(int=1)
    with (
        SparseFile.open(folder / "a") as first,
        SparseFile.open(folder / "b") as second,
        SparseFile.open(folder / "ab") as changes,
        SparseFile.open(folder / "a.verity", create=True) as parent,
        SparseFile.open(folder / "b.verity", create=True) as tree,
    ):
        root = verity.build(first, parent, salt=b"salt", uuid=uuid)
        return verity.update(second, tree, parent=parent, root=root, changes=open_cow(changes).ranges, uuid=uuid)


def _make_bad(folder: Path) -> int:
    _copy(folder / "b", folder / "bad")
    with SparseFile.open(folder / "bad", writable=True) as image:
        start, _ = list(image.data(0, SIZE))[-1]
        image.write(start, bytes((image.read(start, 1)[0] ^ 1,)))
        return start // BLOCK


def make_first(file: Path, stage: Path) -> None:
    """A file system of some hundred files, laid out in `stage`."""
    random = Random(4)
    for number in range(150):
        content = stage / f"usr/lib/part{number % 7}/lib{number}.so"
        content.parent.mkdir(parents=True, exist_ok=True)
        content.write_bytes(random.randbytes(random.randrange(1, 40) * 3000))
    (stage / "etc").mkdir()
    (stage / "etc/motd").write_text("the first version\n")
    options = ("-q", "-b", str(BLOCK), "-O", "^has_journal", "-U", "clear", "-E", "root_owner=0:0")
    with file.open("wb") as image:
        image.truncate(SIZE)
    run(["mkfs.ext4", *options, "-d", stage, file])


def make_second(file: Path, first: Path, scratch: Path) -> None:
    """A file is new, one is changed, a folder is gone."""
    (scratch / "motd").write_text("the second version\n")
    (scratch / "large").write_bytes(Random(5).randbytes(3 * MIB))
    gone = [f"rm /usr/lib/part3/lib{number}.so" for number in range(3, 150, 7)]
    put = ["rm /etc/motd", f"write {scratch / 'motd'} /etc/motd", f"write {scratch / 'large'} /usr/lib/large.so"]
    _edit(file, first, [*gone, "rmdir /usr/lib/part3", *put])


def make_third(file: Path, second: Path, scratch: Path) -> None:
    """The file system is larger, and some files are gone."""
    (scratch / "more").write_bytes(Random(6).randbytes(5 * MIB))
    _edit(file, second, [])
    with file.open("r+b") as image:
        image.truncate(LARGER_SIZE)
    run(["resize2fs", file])
    _edit(file, file, ["rm /usr/lib/part1/lib1.so", f"write {scratch / 'more'} /usr/lib/more.so"])


def make_full_area(file: Path, first: Path) -> None:
    """No file system any more: as many chunks differ as one area has records, most of them alone."""
    _copy(first, file)
    with file.open("r+b") as image:
        for number in range(256):
            image.seek((number * 7 + number // 128) * BLOCK)
            image.write(bytes((number,)) * (BLOCK - 8) + number.to_bytes(8, "big"))


def _edit(file: Path, before: Path, commands: Sequence[str]) -> None:
    if file != before:
        _copy(before, file)
    said = run(["debugfs", "-w", "-f", "-", file], input="\n".join(commands) + "\n").stderr
    # debugfs ends well whatever happens; its first line on stderr is its name and version.
    assert len(said.splitlines()) == 1, said
    # 1: something was corrected, as the discarded blocks are.
    assert run(["e2fsck", "-fy", "-E", "discard", file], check=False).exit_code in (0, 1)
    run(["e2fsck", "-fn", file])


def _copy(source: Path, target: Path) -> None:
    run(["cp", "--sparse=always", source, target])
