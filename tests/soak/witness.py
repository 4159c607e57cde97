"""What was published, as somebody remembers who is no part of the program: manifests, and what must still be there."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from netboot.images.store import ImageStore
from netboot.model.names import VersionRef
from tests.cli_kit import Cli
from tests.soak.victim import Finding


class Witness:
    """Keeps the manifest of each version as it was when it appeared; the manifest has the digests of all else."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.images = data_dir / "images"
        self._known: dict[str, bytes] = {}

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(self._known)

    def remember(self) -> None:
        """What is there now was published by whoever asks."""
        self._known = {label: self._manifest(label) for label in self._folders()}

    def look(self, *, may_appear: str | None, may_go: Collection[str] = ()) -> bool:
        """Compare what is there with what was; whether a version of the image `may_appear` has appeared.

        The store's own check must find no damage, every version must be as it was, none may be gone but of `may_go`,
        and one more at most may be seen, by its image's next number.
        """
        damage = [each for each in self.faults() if each["damage"]]
        if damage:
            raise Finding(f"damage: {damage}")
        listed = {f"{each['image']}:{each['number']}" for each in self.ask("image", "list")}
        there = {label: self._manifest(label) for label in self._folders()}
        if listed != there.keys():
            raise Finding(f"listed are {sorted(listed)}, there are {sorted(there)}")
        if lost := self.labels - listed - set(may_go):
            raise Finding(f"lost: {sorted(lost)}")
        if changed := [label for label in self.labels & listed if there[label] != self._known[label]]:
            raise Finding(f"changed: {changed}")
        new = listed - self.labels
        if new - {self.next_label(may_appear)}:
            raise Finding(f"nobody published {sorted(new)}")
        self._known = there
        return bool(new)

    def next_label(self, image: str | None) -> str:
        numbers = [int(label.partition(":")[2]) for label in self._known if label.partition(":")[0] == image]
        return f"{image}:{max(numbers, default=0) + 1}"

    def faults(self) -> list[dict[str, Any]]:
        """All that `fsck` has to say."""
        return self.ask("image", "fsck")

    def ask(self, *words: str) -> list[dict[str, Any]]:
        """What a command that lists something says with `--json`; of damage `fsck` tells by its exit code as well."""
        ran = Cli(self.data_dir)(*words, "--json")
        if not ran.stdout:
            raise Finding(f"{' '.join(words)} ended with {ran.code}: {ran.stderr}")
        answer: list[dict[str, Any]] = ran.json
        return answer

    def read(self, label: str, name: str) -> str:
        """A small file of a version's system; its root is made if it is not there."""
        argv: list[str | Path] = ["debugfs", "-R", f"cat {name}", self._root(label)]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def read_all(self) -> int:
        """Every bit of every version, by programs that are not ours; how many versions these are."""
        for label in self.labels:
            files = json.loads(self._known[label])["files"]
            root = self._root(label)
            argv: list[str | Path] = [
                "veritysetup",
                "verify",
                root,
                root.parent / "root.verity",
                files["root"]["root_hash"],
            ]
            if subprocess.run(argv, capture_output=True).returncode:
                raise Finding(f"veritysetup finds that the root of {label} is not what was published")
            for entry in (each for each in files.values() if "digest" in each):
                with (root.parent / entry["file"]).open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != entry["digest"].removeprefix("sha256:"):
                        raise Finding(f"{entry['file']} of {label} is not what was published")
        return len(self.labels)

    def _root(self, label: str) -> Path:
        image, _, number = label.partition(":")
        store = ImageStore(self.images)
        return store.materialise(store.get(VersionRef(image, int(number))))

    def _folders(self) -> list[str]:
        """Every folder that looks like a version, whoever made it."""
        homes = [home for home in self.images.glob("*") if not home.name.startswith(".")]
        return [f"{home.name}:{each.name}" for home in homes for each in home.iterdir() if each.name.isdecimal()]

    def _manifest(self, label: str) -> bytes:
        try:
            return (self.images / label.replace(":", "/") / "manifest.json").read_bytes()
        except FileNotFoundError:
            raise Finding(f"{label} has no manifest") from None
