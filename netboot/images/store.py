"""Published versions on disk: `NAME/NUMBER/manifest.json` and the files that it names, links to objects.

A version is prepared in a staging folder and appears by one rename, after everything in it is on the disk; so a
version that can be seen is whole.  Data directories of format 1, whose files are no links, are read as they are.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot.errors import Conflict, InvalidInput, NetbootError, NotFound
from netboot.images.blocks import Advance, unheard
from netboot.images.boottests import BootTest, add_test, read_tests
from netboot.images.entries import root_object
from netboot.images.files import changed_at, names_in, same_file, unreadable, unwritten
from netboot.images.manifest import FILE_NAME, Manifest, manifest_digest, parse_manifest, version_of
from netboot.images.objects import Objects
from netboot.images.placing import put_in_place
from netboot.images.roots import has_root, locked, materialise
from netboot.images.staging import Staging, claimed
from netboot.images.tagfile import FILE_NAME as TAGS_FILE_NAME
from netboot.images.tagfile import change_tags, read_tags
from netboot.images.tags import Tags
from netboot.model.image import Version
from netboot.model.names import LATEST, STABLE, VersionRef

# A file system's clock ticks every few milliseconds: what changed just now may change again without a new time.
_SETTLED_NS = 2_000_000_000

NO_TAGS = Tags()


class ImageStore:
    """The versions below one directory.

    Nothing is kept in memory but manifests, which never change, and what folders held when they last changed: other
    processes publish versions too, and every packet of a booting client asks for one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._objects = Objects(directory)
        self._read: dict[tuple[str, int], tuple[int, str, Version]] = {}
        self._listed: dict[str, tuple[int, str, tuple[int, ...]]] = {}
        self._tagged: dict[str, tuple[int | None, str, Tags]] = {}

    @property
    def directory(self) -> Path:
        return self._directory

    def each(self) -> Iterator[tuple[str, Version | NetbootError]]:
        """Every version with its label, by image and number; in place of one that cannot be read, why it cannot."""
        for image in self.names():
            for number in self._numbers(image):
                try:
                    version: Version | NetbootError | None = self._there(image, number)
                except NetbootError as error:
                    version = error
                if version is not None:
                    yield f"{image}:{number}", version

    def list(self) -> tuple[Version, ...]:
        """Every version, by image and number.  A manifest that cannot be read is an error, not an absence."""
        versions, errors = self.readable()
        for error in errors:
            raise error
        return versions

    def readable(self) -> tuple[tuple[Version, ...], tuple[NetbootError, ...]]:
        """Every version that can be read, and why the others cannot: for who must go on with what is whole."""
        found = [each for _, each in self.each()]
        versions = tuple(each for each in found if isinstance(each, Version))
        return versions, tuple(each for each in found if isinstance(each, NetbootError))

    def names(self) -> tuple[str, ...]:
        """The images of which there is a version."""
        folders = (name for name in names_in(self._directory) if not name.startswith("."))
        return tuple(sorted(name for name in folders if self._numbers(name)))

    def find(self, ref: VersionRef) -> Version | None:
        """The version that `ref` names, None if there is none (yet)."""
        numbers = self._numbers(ref.image)
        # What a tag has to say is asked only where one may be meant.
        tags = NO_TAGS if isinstance(ref.selector, int) else self.tags(ref.image)
        number = tags.resolve(ref.selector, numbers)
        return self._there(ref.image, number) if number is not None else None

    def get(self, ref: VersionRef) -> Version:
        """As `find`, but `NotFound` says what there is instead."""
        if version := self.find(ref):
            return version
        if numbers := self._numbers(ref.image):
            names = [*self.tags(ref.image).current, *numbers[-5:]]
            there = ", ".join(f"{ref.image}:{name}" for name in names)
            # None for a selector: its tag stands at a version that is gone.
            what = f"image {ref.image} has no version {ref.selector or STABLE}"
            raise NotFound(what, hint=f"there is {there}")
        near = difflib.get_close_matches(ref.image, self.names(), n=3) or list(self.names())[:5]
        hint = f"there is {', '.join(near)}" if near else f"build it: netboot image build {ref.image}"
        raise NotFound(f"there is no image {ref.image}", hint=hint)

    def tags(self, image: str) -> Tags:
        """The image's tags; none for an image that there is not."""
        known = self._tagged.get(image)
        if known is not None and known[0] == changed_at(known[1]):
            return known[2]
        folder = self._directory / image
        file = str(folder / TAGS_FILE_NAME)
        stamp = changed_at(file)
        tags = read_tags(folder)
        if stamp is None or time.time_ns() - stamp > _SETTLED_NS:
            self._tagged[image] = stamp, file, tags
        return tags

    def change_tags(self, image: str, change: Callable[[Tags], Tags]) -> Tags:
        """Make the tags of an image that there is what `change` makes of them; what it raises changes nothing."""
        self.get(VersionRef(image, LATEST))

        def checked(tags: Tags) -> Tags:
            after = change(tags)
            for tag, number in after.current.items():
                if number != tags.current.get(tag):
                    self.get(VersionRef(image, number))  # somebody may have removed it since it was looked at
            return after

        return change_tags(self._directory / image, checked)

    def boot_tests(self, image: str) -> tuple[BootTest, ...]:
        """The boot tests of an image's versions, oldest first."""
        return read_tests(self._directory / image)

    def add_boot_test(self, version: Version, test: BootTest) -> None:
        """Note that a version was tested."""
        add_test(self._directory / version.image, test)

    def manifest(self, version: Version) -> Manifest:
        """Everything that is known of a version.  `NotFound` when it was removed meanwhile."""
        try:
            return _read_manifest(version.folder / FILE_NAME, version.image, version.number)[0]
        except NetbootError as error:
            if version.folder.exists():
                raise
            raise NotFound(f"{version.label} was removed meanwhile") from error

    def is_whole(self, version: Version) -> bool:
        """Whether it is stored whole: as it was published, or made so since."""
        if version.delta is None or version.root.verity is None:
            return True
        return same_file(version.root.path, self._objects.path(root_object(version.root.verity.root_hash)))

    def has_root(self, version: Version) -> bool:
        """Whether its root is there, so that nobody waits for it."""
        return has_root(version)

    def materialise(self, version: Version, advance: Advance = unheard) -> Path:
        """The version's root as a raw file, which is made if it is not there.  Blocks, perhaps for minutes.

        Whoever opens `version.root.path` asks for this first.  Of several processes one makes it, the others wait.
        """
        return materialise(version, self.find, advance)

    def make_whole(self, version: Version, advance: Advance = unheard) -> None:
        """Store a version whole from now on, so that it needs its parent no more.  Blocks."""
        self.materialise(version, advance)
        with locked(version.folder), self._objects.locked():
            for name, object in self.manifest(version).files.derivable():
                self._objects.adopt(version.folder / name, object)

    @contextmanager
    def stage(self, image: str) -> Iterator[Staging]:
        """A place for the next version of `image`, gone afterwards unless published; `Conflict` if one is at work."""
        with claimed(self._directory, image) as place:
            staging = Staging(
                image=image,
                number=max(self._numbers(image), default=0) + 1,
                scratch=place / "scratch",
                version=place / "version",
            )
            staging.scratch.mkdir()
            staging.version.mkdir()
            yield staging

    def publish(self, staging: Staging, manifest: Manifest) -> Version:
        """Make what is staged the next version: all of it reaches the disk, then one rename shows it.

        `staging.version` holds the files that the manifest says are stored; of a version with a delta, also root and
        tree may be there, so that nobody has to make them.  `Conflict` when the parent is not what it was.
        """
        parent = self._parent_of(manifest)
        same = dict(self.manifest(parent).files.stored()) if parent else {}
        try:
            put_in_place(self._directory, staging, manifest, parent=parent, parents_objects=same)
        except OSError as error:
            raise unwritten(self._directory, error) from error
        return self._load(staging.image, staging.number)

    def _parent_of(self, manifest: Manifest) -> Version | None:
        """The version that `manifest` names as parent; `Conflict` when it is not what it was."""
        if (parent := manifest.parent) is None:
            return None
        found = self.find(VersionRef(manifest.image, parent.number))
        if found is None or found.digest != parent.digest:
            state = "is gone" if found is None else "is another one than before"
            raise Conflict(
                f"{manifest.image}:{parent.number}, to which the new version is stored as changes, {state}",
                hint=f"begin again from a version that is there: netboot image list {manifest.image}",
            )
        return found

    def _numbers(self, image: str) -> tuple[int, ...]:
        known = self._listed.get(image)
        if known is not None and known[0] == changed_at(known[1]):
            return known[2]
        folder = str(self._directory / image)
        stamp = changed_at(folder)
        numbers = tuple(sorted(int(name) for name in names_in(self._directory / image) if _is_number(name)))
        if stamp is not None and time.time_ns() - stamp > _SETTLED_NS:
            self._listed[image] = stamp, folder, numbers
        return numbers

    def _there(self, image: str, number: int) -> Version | None:
        """As `_load`, None for a version that was removed since it was listed."""
        try:
            return self._load(image, number)
        except NetbootError:
            if (self._directory / image / str(number)).exists():
                raise
            return None

    def _load(self, image: str, number: int) -> Version:
        known = self._read.get((image, number))
        if known is not None and known[0] == changed_at(known[1]):
            return known[2]
        file = self._directory / image / str(number) / FILE_NAME
        stamp = changed_at(str(file))
        manifest, text = _read_manifest(file, image, number)
        version = version_of(manifest, digest=manifest_digest(text), directory=file.parent)
        self._read[image, number] = stamp or 0, str(file), version
        return version


def _read_manifest(file: Path, image: str, number: int) -> tuple[Manifest, str]:
    try:
        text = file.read_text(encoding="utf-8")
        manifest = parse_manifest(text)
        if (manifest.image, manifest.number) != (image, number):
            raise InvalidInput(f"it belongs to {manifest.image}:{manifest.number}")
    except UnicodeDecodeError as error:
        raise unreadable(file, InvalidInput("it is not UTF-8")) from error
    except (OSError, InvalidInput) as error:
        raise unreadable(file, error) from error
    return manifest, text


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")
