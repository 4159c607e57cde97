"""Published versions on disk: `NAME/NUMBER/{root.ext4,vmlinuz,initrd.img,manifest.json}`.

A version is prepared in a staging folder and appears by one rename, after everything in it is on the disk; so a
version that can be seen is whole.  The staging folder is locked by the process that builds: one build of an image at
a time, and what a killed build left behind is recognised, since nobody holds its lock, and removed.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import Conflict, InvalidInput, NetbootError, NotFound, NotPermitted
from netboot.images.manifest import FILE_NAME, FILES, FileEntry, Manifest, manifest_digest, parse_manifest, version_of
from netboot.model.image import Digest, Version
from netboot.model.names import LATEST, VersionRef, parse_image_name

STAGING = ".staging"

_CHUNK = 4 << 20
# A file system's clock ticks every few milliseconds: what changed just now may change again without a new time.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """A place to prepare version `number` of `image`.

    `scratch` is for whatever the work needs; `version` becomes the version's folder.
    """

    image: str
    number: int
    scratch: Path
    version: Path


class ImageStore:
    """The versions below one directory.

    Nothing is kept in memory but manifests, which never change, and what folders held when they last changed: other
    processes publish versions too, and every packet of a booting client asks for one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[tuple[str, int], tuple[int, str, Version]] = {}
        self._listed: dict[str, tuple[int, str, tuple[int, ...]]] = {}

    def list(self) -> tuple[Version, ...]:
        """Every version, by image and number.  A manifest that cannot be read is an error, not an absence."""
        return tuple(self._load(image, number) for image in self.names() for number in self._numbers(image))

    def readable(self) -> tuple[tuple[Version, ...], tuple[NetbootError, ...]]:
        """Every version that can be read, and why the others cannot: for who must go on with what is whole."""
        versions, errors = [], []
        for image in self.names():
            for number in self._numbers(image):
                try:
                    versions.append(self._load(image, number))
                except NetbootError as error:
                    errors.append(error)
        return tuple(versions), tuple(errors)

    def names(self) -> tuple[str, ...]:
        """The images of which there is a version."""
        folders = (name for name in _names_in(self._directory) if not name.startswith("."))
        return tuple(sorted(name for name in folders if self._numbers(name)))

    def find(self, ref: VersionRef) -> Version | None:
        """The version that `ref` names, None if there is none (yet)."""
        numbers = self._numbers(ref.image)
        number = max(numbers, default=None) if ref.selector == LATEST else ref.selector
        return self._load(ref.image, number) if isinstance(number, int) and number in numbers else None

    def get(self, ref: VersionRef) -> Version:
        """As `find`, but `NotFound` says what there is instead."""
        if version := self.find(ref):
            return version
        if numbers := self._numbers(ref.image):
            there = ", ".join(f"{ref.image}:{number}" for number in numbers[-5:])
            raise NotFound(f"image {ref.image} has no version {ref.selector}", hint=f"there is {there}")
        near = difflib.get_close_matches(ref.image, self.names(), n=3) or list(self.names())[:5]
        hint = f"there is {', '.join(near)}" if near else f"build it: netboot image build {ref.image}"
        raise NotFound(f"there is no image {ref.image}", hint=hint)

    @contextmanager
    def stage(self, image: str) -> Iterator[Staging]:
        """A place for the next version of `image`, gone afterwards unless published; `Conflict` if one is at work."""
        place = self._directory / STAGING / parse_image_name(image)
        lock = _lock(place, image)
        try:
            _empty(place)
            staging = Staging(
                image=image,
                number=max(self._numbers(image), default=0) + 1,
                scratch=place / "scratch",
                version=place / "version",
            )
            staging.scratch.mkdir()
            staging.version.mkdir()
            yield staging
        finally:
            # Only emptied: the folder itself is the lock, and another process may be waiting at it.
            _empty(place)
            os.close(lock)

    def publish(self, staging: Staging, manifest: Manifest) -> Version:
        """Make what is staged the next version: all of it reaches the disk, then one rename shows it."""
        (staging.version / FILE_NAME).write_text(manifest.to_json(), encoding="utf-8")
        for file in staging.version.iterdir():
            file.chmod(0o444)
            _sync(file)
        staging.version.chmod(0o755)
        _sync(staging.version)
        home = self._directory / staging.image
        home.mkdir(exist_ok=True)
        staging.version.rename(home / str(staging.number))
        _sync(home)
        _sync(self._directory)
        return self._load(staging.image, staging.number)

    def verify(self, version: Version, advance: Callable[[int], None] = lambda size_bytes: None) -> None:
        """Read every bit of a version again; `NetbootError` names the file that is not what it was.

        `advance` is told the bytes read since its last call.
        """
        for artefact in (version.root, version.kernel, version.initrd):
            try:
                found = hash_file(artefact.path, advance)
            except OSError as error:
                raise _unreadable(artefact.path, error) from error
            if found.digest != artefact.digest or found.size_bytes != artefact.size_bytes:
                raise NetbootError(
                    f"{artefact.path} is not what {version.label} was published with",
                    hint=f"remove {artefact.path.parent} and build the image again",
                )

    def _numbers(self, image: str) -> tuple[int, ...]:
        known = self._listed.get(image)
        if known is not None and known[0] == _changed_at(known[1]):
            return known[2]
        folder = str(self._directory / image)
        stamp = _changed_at(folder)
        numbers = tuple(sorted(int(name) for name in _names_in(self._directory / image) if _is_number(name)))
        if stamp is not None and time.time_ns() - stamp > _SETTLED_NS:
            self._listed[image] = stamp, folder, numbers
        return numbers

    def _load(self, image: str, number: int) -> Version:
        known = self._read.get((image, number))
        if known is not None and known[0] == _changed_at(known[1]):
            return known[2]
        file = self._directory / image / str(number) / FILE_NAME
        try:
            stamp = file.stat().st_mtime_ns
            version = _read_version(file, image, number)
        except (OSError, InvalidInput) as error:
            raise _unreadable(file, error) from error
        self._read[image, number] = stamp, str(file), version
        return version


def hash_file(file: Path, advance: Callable[[int], None] = lambda size_bytes: None) -> FileEntry:
    """A file's size and SHA-256, read once; `advance` is told the bytes read since its last call."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb", buffering=0) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            advance(len(chunk))
    return FileEntry(size_bytes=size, digest=Digest(digest.hexdigest()))


def hash_files(directory: Path, advance: Callable[[int], None] = lambda size_bytes: None) -> dict[str, FileEntry]:
    """The entries of a manifest for the files of a version."""
    return {part: hash_file(directory / name, advance) for part, name in FILES.items()}


def _read_version(file: Path, image: str, number: int) -> Version:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("it is not UTF-8") from error
    manifest = parse_manifest(text)
    if (manifest.image, manifest.number) != (image, number):
        raise InvalidInput(f"it belongs to {manifest.image}:{manifest.number}")
    return version_of(manifest, digest=manifest_digest(text), directory=file.parent)


def _unreadable(file: Path, error: OSError | InvalidInput) -> NetbootError:
    if isinstance(error, PermissionError):
        return NotPermitted(f"{file} may not be read", hint="run it as root, or as the owner")
    reason = error.strerror if isinstance(error, OSError) else error.message
    return NetbootError(f"{file} cannot be read: {reason}", hint=f"remove {file.parent} and build the image again")


def _names_in(folder: Path) -> list[str]:
    """The names in `folder`; none where there is no folder."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is asked for
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _changed_at(path: str) -> int | None:
    """The time of the last change in nanoseconds, None when it cannot be told."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - asked with every packet, and a Path costs three times as much
    except OSError:
        return None


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")


def _lock(place: Path, image: str) -> int:
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError as error:
        raise NotPermitted(f"may not write to {place}", hint="run it as root, or name another --data-dir") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(f"image {image} is being built by another process", hint="wait until it is done") from error
    return descriptor


def _empty(place: Path) -> None:
    for leftover in place.iterdir():
        shutil.rmtree(leftover)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
