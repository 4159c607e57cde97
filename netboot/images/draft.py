"""Drafts: a version being changed, as a writable disk over it.

`.drafts/NAME/` holds `draft.json`, which says of what it is a draft, and `disk.qcow2`, which holds what was changed.
A draft appears by one rename and goes by one, so that after a crash it is there and usable, or was never there.  Who
works on a draft holds its folder locked; the kernel gives the lock back whatever way that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from netboot.errors import Conflict, InvalidInput, NetbootError, NotFound, NotPermitted
from netboot.images.documents import Fields, check_fields, parse_object
from netboot.images.files import sync
from netboot.model.image import Version
from netboot.model.names import parse_draft_name
from netboot.system.qcow import create_disk

DRAFTS = ".drafts"
FORMAT = 1

_NEW = ".new-"
_FIELDS: Fields = {
    "format": (int,),
    "name": (str,),
    "image": (str,),
    "number": (int,),
    "digest": (str,),
    "created_at": (int, float),
    "who": (str,),
    "note": (str,),
}


class DamagedDraft(NetbootError):
    """What a draft says of itself is lost; nobody can tell any more what it is a draft of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftNote:
    """What a draft says of itself: the version below it, by number and digest; `created_at` in Unix seconds."""

    name: str
    image: str
    number: int
    digest: str
    created_at: float
    who: str
    note: str

    @property
    def parent(self) -> str:
        return f"{self.image}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPlace:
    """Where a draft lies.  `disk` is the writable disk; `raw` and `tree` are where it is shown while at work."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def log(self) -> Path:
        return self.folder / "disk.log"

    @property
    def stored_bytes(self) -> int:
        """What the changes take on the disk so far."""
        return self.disk.stat().st_blocks * 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(DraftPlace):
    """A draft: its place, and what it says of itself."""

    note: DraftNote


class Drafts:
    """The drafts below the images' folder."""

    def __init__(self, images: Path) -> None:
        self._directory = images / DRAFTS

    def list(self) -> tuple[Draft, ...]:
        """Every draft, by name.  One whose note cannot be read is an error, not an absence."""
        return tuple(self._load(name) for name in self._names())

    def get(self, name: str) -> Draft:
        """`NotFound` says which there are."""
        return self._load(self.place(name).name)

    def place(self, name: str) -> DraftPlace:
        """Where a draft lies, also one whose note is damaged.  `NotFound` says which there are."""
        place = DraftPlace(folder=self._directory / parse_draft_name(name))
        if not place.folder.is_dir():
            names = ", ".join(self._names())
            raise NotFound(
                f"there is no draft {name}",
                hint=f"there is {names}" if names else f"open one: netboot image edit IMAGE --name {name}",
            )
        return place

    def check_free(self, name: str) -> Path:
        """The folder of a draft that can be opened; `Conflict` if there is one of that name."""
        folder = self._directory / parse_draft_name(name)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.exists():
                raise _taken(name)
        except OSError as error:
            raise _denied(folder, error) from error
        return folder

    def open(self, name: str, version: Version, root: Path, *, who: str, note: str = "") -> Draft:
        """A new draft of `version`, whose raw file system is `root`; `Conflict` if there is one of that name."""
        folder = self.check_free(name)
        self._forget_unfinished()
        made = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._directory))
        try:
            create_disk(made / "disk.qcow2", over=root)
            written = DraftNote(
                name=name,
                image=version.image,
                number=version.number,
                digest=str(version.digest),
                created_at=round(time.time(), 3),
                who=who,
                note=note,
            )
            text = json.dumps({"format": FORMAT, **asdict(written)}, indent=2, sort_keys=True) + "\n"
            (made / "draft.json").write_text(text, encoding="utf-8")
            (made / "raw").touch(mode=0o600)
            (made / "tree").mkdir(mode=0o700)
            for each in (made / "disk.qcow2", made / "draft.json", made):
                sync(each)
            try:
                made.rename(folder)
            except OSError as error:  # somebody was quicker
                raise _taken(name) from error
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        sync(self._directory)
        return self._load(name)

    def discard(self, draft: DraftPlace) -> None:
        """Throw a draft away; `Conflict` while somebody works on it."""
        with locked(draft):
            gone = self._directory / f"{_NEW}{draft.name}-{os.getpid()}"
            draft.folder.rename(gone)
            sync(self._directory)
            shutil.rmtree(gone)

    def _names(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(each.name for each in self._directory.iterdir() if not each.name.startswith(".")))
        except FileNotFoundError:
            return ()

    def _load(self, name: str) -> Draft:
        folder = self._directory / name
        file = folder / "draft.json"
        try:
            return Draft(note=parse_note(file.read_text(encoding="utf-8"), name=name), folder=folder)
        except (InvalidInput, UnicodeDecodeError) as error:
            hint = f"throw it away: netboot image discard {name}; or bring the file back from a copy"
            raise DamagedDraft(f"{file} cannot be read: {error}", hint=hint) from error
        except FileNotFoundError as error:
            raise DamagedDraft(f"{file} is missing", hint=f"throw it away: netboot image discard {name}") from error
        except OSError as error:
            raise _denied(file, error) from error

    def _forget_unfinished(self) -> None:
        """Remove what a killed process left half made or half thrown away an hour ago or longer."""
        for each in self._directory.glob(f"{_NEW}*"):
            with suppress(OSError):
                if time.time() - each.stat().st_mtime > 3600:
                    shutil.rmtree(each)


def parse_note(text: str, *, name: str) -> DraftNote:
    """Raises `InvalidInput`; strict, since a draft on the wrong version would be garbage."""
    value = parse_object(text)
    check_fields(value, _FIELDS)
    if value.pop("format") != FORMAT:
        raise InvalidInput("it is of another format", hint="use a newer netboot")
    note = DraftNote(**value)
    if note.name != name:
        raise InvalidInput(f"it says {note.name!r} and lies in {name!r}")
    return note


@contextmanager
def locked(draft: DraftPlace) -> Iterator[None]:
    """Work on a draft alone; `Conflict` while somebody else does."""
    try:
        descriptor = os.open(draft.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"there is no draft {draft.name} any more") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"somebody is at work on draft {draft.name}", hint="wait until they have left its shell or machine"
            ) from error
        yield
    finally:
        os.close(descriptor)


def _taken(name: str) -> Conflict:
    return Conflict(
        f"there is a draft {name} already",
        hint=f"go on with it: netboot image edit --name {name}, or throw it away: netboot image discard {name}",
    )


def _denied(path: Path, error: OSError) -> NetbootError:
    if isinstance(error, PermissionError):
        return NotPermitted(f"may not work on {path}", hint="run it as root")
    return NetbootError(f"{path} cannot be used: {error.strerror}")
