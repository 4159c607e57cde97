"""Taking versions away, so that whatever way it ends the store is whole.

A version vanishes as it came, by one rename, into the image's staging folder; what lies there belongs to nobody.
Objects go last, once nothing links to them.  Nobody publishes versions of the image or moves its tags meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from netboot.errors import Conflict, NotFound
from netboot.images.boottests import FILE_NAME as TESTS_FILE_NAME
from netboot.images.files import names_in, new_name, sync
from netboot.images.objects import Objects
from netboot.images.roots import locked
from netboot.images.staging import claimed
from netboot.images.store import ImageStore
from netboot.images.tagfile import FILE_NAME as TAGS_FILE_NAME
from netboot.images.tagfile import tags_locked
from netboot.model.image import Version


def remove_versions(store: ImageStore, image: str, versions: Sequence[Version], *, check: Callable[[], None]) -> None:
    """Remove versions of `image`, in this order, then what only they had.

    `check` is called when nothing can change any more but by clients and drafts; what it raises leaves everything as it
    was.  An image whose last version goes is gone with its tags.  `Conflict` when somebody is at work on one of them.
    """
    images = store.directory
    home = images / image
    with claimed(images, image) as place:
        with tags_locked(home):
            check()
            if not _others(home, versions):
                # Before the versions, or tags would stand at what is gone.
                for name in (TAGS_FILE_NAME, TESTS_FILE_NAME):
                    for file in (home / name, new_name(home / name)):
                        file.unlink(missing_ok=True)
                sync(home)
            for version in versions:
                with suppress(NotFound):  # somebody else was quicker
                    _take_out(version, place)
        if not names_in(home):
            home.rmdir()
            sync(images)
    drop_orphans(store)


def orphans(store: ImageStore, going: Counter[int] | None = None, without: Collection[str] = ()) -> Iterator[str]:
    """The objects that are of no version: none links to them, and none should.

    What is `going` counts as gone: names by the number of their file, and versions by their labels.  A version whose
    manifest cannot be read is an error, since nobody knows what it should have.
    """
    objects, wanted = Objects(store.directory), set[str]()
    for version in store.list():
        if version.label not in without:
            with suppress(NotFound):
                files = store.manifest(version).files
                wanted |= {name for _, name in (*files.stored(), *files.derivable())}
    for name in objects.names():
        with suppress(FileNotFoundError):  # somebody else was quicker
            state = objects.path(name).stat()
            if name not in wanted and state.st_nlink - 1 <= (going[state.st_ino] if going else 0):
                yield name


def drop_orphans(store: ImageStore) -> None:
    """Remove them."""
    objects = Objects(store.directory)
    with objects.locked(alone=True):
        for name in tuple(orphans(store)):
            objects.remove(name)


def drop_root(store: ImageStore, version: Version) -> bool:
    """Drop root and tree of a version that can make them again; whether it was done.

    It is not while somebody is at work on it, or when it was made whole since that was planned.
    """
    with locked(version.folder, wait=False) as ours:
        if not ours or store.is_whole(version):
            return False
        # The root first: where there is a root, there is its tree.
        version.root.path.unlink(missing_ok=True)
        if version.root.verity is not None:
            version.root.verity.tree.path.unlink(missing_ok=True)
        sync(version.folder)
    return True


def _take_out(version: Version, place: Path) -> None:
    folder = version.folder
    with locked(folder, wait=False) as ours:
        if not ours:
            raise Conflict(
                f"the root of {version.label} is being made by another process", hint="wait until it is done"
            )
        folder.rename(place / f"removed-{version.number}")
    sync(folder.parent)


def _others(home: Path, versions: Sequence[Version]) -> set[str]:
    return {name for name in names_in(home) if name.isdecimal()} - {str(each.number) for each in versions}
