"""The commands that are killed, each with what it needs beforehand and how one sees that it was done."""

from __future__ import annotations

import json
import random
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from netboot.images.store import ImageStore
from tests.images_kit import block, publish_delta, publish_whole
from tests.import_kit import make_bootable_system, make_filesystem
from tests.soak.victim import Finding, run
from tests.soak.witness import Witness

RECIPES = Path(__file__).parent / "images"
BUILT, IMPORTED, CLEARED = "soaked", "tiny", "debian"
DRAFT = "soaked"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One command line.

    `kind` names those that take equally long.  A version of the image `appears`, those labelled `goes` may go.  From
    the step `tail` on, or behind the first `idle_s` seconds, it is at work on what is published.  `check` is told the
    label of what appeared.
    """

    kind: str
    words: tuple[str, ...]
    appears: str | None = None
    goes: frozenset[str] = frozenset()
    tail: str | None = None
    idle_s: float = 0.0
    check: Callable[[str], None] = lambda label: None


class Work(ABC):
    """An operation of the product.  `every` so many kills it is done again, to its end."""

    every = 1

    def __init__(self, folder: Path, witness: Witness, chance: random.Random) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.witness = witness
        self.chance = chance

    @abstractmethod
    def begin(self) -> Attempt:
        """Make what it needs, and say what to do."""

    @abstractmethod
    def end(self, attempt: Attempt) -> None:
        """Look at what is there once it was done, or a version has appeared though it was killed."""


class Build(Work):
    """Packages and all.  Seldom again, since it takes a minute or more."""

    every = 5

    def begin(self) -> Attempt:
        words = ("image", "build", BUILT, "--recipes", str(RECIPES))
        return Attempt(kind="build", words=words, appears=BUILT, tail="removing identities")

    def end(self, attempt: Attempt) -> None:
        """What appeared was looked at."""


class Import(Work):
    """Of a folder, a tar and a disk, whose partition is shown by FUSE and mounted by loop."""

    def begin(self) -> Attempt:
        form, source = self.chance.choice(sorted(self._sources().items()))
        words = ("image", "import", IMPORTED, str(source))
        return Attempt(kind=f"import of a {form}", words=words, appears=IMPORTED, tail="making the initrd")

    def end(self, attempt: Attempt) -> None:
        """What appeared was looked at."""

    def _sources(self) -> Mapping[str, Path]:
        place = self.folder / "sources"
        sources = {"folder": place / "tree", "tar": place / "tree.tar.zst", "disk": place / "disk.qcow2"}
        if not place.exists():
            place.mkdir(parents=True)
            tree = make_bootable_system(sources["folder"])
            for number in range(400):
                (tree / f"usr/lib/{number}").write_bytes(self.chance.randbytes(20_000))
            subprocess.run(["tar", "-C", tree, "--zstd", "-cf", sources["tar"], "."], check=True)
            raw = make_filesystem("ext4", tree, place / "raw")
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, sources["disk"]], check=True)
        return sources


class Commit(Work):
    """Of a draft of what was imported, and now and then of what was built."""

    def begin(self) -> Attempt:
        images = {label.partition(":")[0] for label in self.witness.labels}
        image = BUILT if BUILT in images and self.chance.random() < 0.2 else IMPORTED
        text = f"{self.chance.random()}\n"
        change = f"echo {text.strip()} >/etc/motd; cat /bin/busybox >/root/{self.chance.randrange(8)}"
        opened = run(self.data_dir, "image", "edit", image, "--name", DRAFT, "--run", change)
        if opened.code:
            raise Finding(f"no draft of {image} can be opened: {opened.said}")

        def check(label: str) -> None:
            if (found := self.witness.read(label, "/etc/motd")) != text:
                raise Finding(f"/etc/motd of {label} says {found!r}, and {text!r} was written to its draft")

        words = ("image", "commit", DRAFT)
        kind = f"commit to what was {'built' if image == BUILT else 'imported'}"
        return Attempt(kind=kind, words=words, appears=image, tail="finding the changes", check=check)

    def end(self, attempt: Attempt) -> None:
        if any(each["name"] == DRAFT for each in self.witness.ask("image", "drafts")):
            gone = run(self.data_dir, "image", "discard", DRAFT, "--yes")
            if gone.code:
                raise Finding(f"the draft cannot be discarded: {gone.said}")


class Clear(Work):
    """`gc` of old versions, roots that can be made again, and of what the commands before left behind."""

    def begin(self) -> Attempt:
        store = ImageStore(self.data_dir / "images")
        for _ in range(2):
            parent = publish_whole(store, CLEARED, {0: self._block(), 5: self._block()})
            for number in range(3):
                store.materialise(parent)
                parent = publish_delta(store, parent, {number: self._block()})
            store.materialise(parent)
            self.witness.remember()
        plan = self.witness.ask("image", "gc", "--keep", "1", "--dry-run")
        planning = run(self.data_dir, "image", "gc", "--keep", "1", "--dry-run")
        goes = frozenset(each["name"] for each in plan if each["what"] == "version")
        if len(goes) < 4:
            raise Finding(f"gc would remove no more than {json.dumps(plan)}")
        idle_s = 0.9 * planning.course.lasted_s
        return Attempt(kind="gc", words=("image", "gc", "--keep", "1"), goes=goes, idle_s=idle_s)

    def end(self, attempt: Attempt) -> None:
        if left := attempt.goes & self.witness.labels:
            raise Finding(f"gc left {sorted(left)}")
        if faults := self.witness.faults():
            raise Finding(f"gc left {faults}")

    def _block(self) -> bytes:
        return block(str(self.chance.random()))


# The operations, with the shares of the points that they get.
WORKS: Mapping[str, tuple[type[Work], int]] = {
    "build": (Build, 6),
    "import": (Import, 27),
    "commit": (Commit, 37),
    "gc": (Clear, 30),
}
