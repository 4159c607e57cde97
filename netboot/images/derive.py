"""Deriving a compressed file system from a version's root, on demand.

All is made in a folder within the version's, and then laid down beside the version's files, the note last.  The version
is locked meanwhile: of several processes that need it one makes it, the others wait and find it done.  What a killed
process left is begun anew.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from netboot.errors import NetbootError, NotPermitted
from netboot.images import verity
from netboot.images.blocks import Advance, unheard
from netboot.images.compress import check_holds, maker_argv, newest_time
from netboot.images.derived import FORMATS, file_names, find_derived, parse_note, shape_note
from netboot.images.entries import BLOCK_BYTES
from netboot.images.files import sync, unwritten
from netboot.images.identity import derived_uuid, verity_salt
from netboot.images.measure import hash_file
from netboot.images.roots import locked
from netboot.images.store import ImageStore
from netboot.model.image import Artefact, Root, Verity, Version
from netboot.model.root import RootFormat
from netboot.system.loop import attached, find_loop
from netboot.system.mounts import mount_read_only, private_mounts
from netboot.system.reading import run_reading
from netboot.system.sparse import SparseFile

WORK_NAME = ".derived.new"


def ensure(
    store: ImageStore,
    version: Version,
    format: RootFormat,
    advance: Advance = unheard,
    *,
    processors: int | None = None,
) -> Root:
    """The version's root in this format, made if it is not there.  Blocks, perhaps for minutes.

    Interrupted or failed, it leaves nothing.  `InvalidInput` when the format cannot hold the version's files,
    `Unavailable` when a program or space is missing, `NotPermitted` without root.
    """
    while True:
        if found := find_derived(version, format):
            return found
        if os.geteuid() != 0:
            raise NotPermitted("reading an image's files needs root", hint="use sudo")
        store.materialise(version, advance)
        with locked(version.folder):
            if found := find_derived(version, format):
                return found
            if version.root.path.exists():  # else it was dropped since
                return _make(version, format, advance, processors)


def remake(store: ImageStore, version: Version, format: RootFormat, advance: Advance = unheard) -> Root:
    """Make it anew, in the place of one that is damaged."""
    with locked(version.folder):
        _take_away(version, format)
    return ensure(store, version, format, advance)


def drop_derived(version: Version) -> bool:
    """Drop what is derived of a version; whether it was done: not while somebody is at work on it, or mounted it."""
    with locked(version.folder, wait=False) as ours:
        if not ours or derived_in_use(version):
            return False
        for format in FORMATS:
            _take_away(version, format)
    return True


def derived_in_use(version: Version) -> bool:
    """Whether a derived file is mounted on this machine, or shown as a disk."""
    return any(find_loop(version.folder / file_names(format)[0]) is not None for format in FORMATS)


def work_bytes(version: Version) -> int:
    """What `ensure` tells its `Advance` in all, about, when the version's root is there."""
    try:
        return version.root.path.stat().st_blocks * 512
    except FileNotFoundError:
        return version.root.size_bytes


def _make(version: Version, format: RootFormat, advance: Advance, processors: int | None) -> Root:
    work = version.folder / WORK_NAME
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir()
        root = _derive(version, format, work, advance, processors)
        return _lay_down(root, version.folder, format)
    except OSError as error:
        raise unwritten(version.folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _derive(version: Version, format: RootFormat, work: Path, advance: Advance, processors: int | None) -> Root:
    name, tree_name, _ = file_names(format)
    file, files = work / name, work / "files"
    uuid = derived_uuid(version.image, version.number, format)
    files.mkdir()
    with private_mounts():
        with attached(version.root.path) as device:
            mount_read_only(device, files, fstype="ext4")
        check_holds(format, files)
        argv = maker_argv(format, files, file, uuid=uuid, processors=processors)
        try:
            run_reading(argv, advance, env={"SOURCE_DATE_EPOCH": str(newest_time(files))})
        except NetbootError as error:
            raise _told_of_space(error, version.folder) from error
    size_bytes = -(-file.stat().st_size // BLOCK_BYTES) * BLOCK_BYTES
    os.truncate(file, size_bytes)
    salt = verity_salt(version.image)
    with SparseFile.open(file) as data, SparseFile.open(work / tree_name, create=True) as tree:
        root_hash = verity.build(data, tree, salt=salt, uuid=uuid)
    entry = hash_file(work / tree_name)
    artefact = Artefact(path=work / tree_name, size_bytes=entry.size_bytes, digest=entry.digest)
    return Root(path=file, size_bytes=size_bytes, verity=Verity(root_hash=root_hash, salt=salt, tree=artefact))


def _lay_down(made: Root, folder: Path, format: RootFormat) -> Root:
    names = file_names(format)
    (made.path.parent / names[2]).write_text(shape_note(made), encoding="utf-8")
    new = [made.path.parent / name for name in names]
    for file in new:
        file.chmod(0o444)
        sync(file)
    for file in new:
        file.replace(folder / file.name)
        sync(folder)
    return parse_note((folder / names[2]).read_text(encoding="utf-8"), folder, format)


def _take_away(version: Version, format: RootFormat) -> None:
    """The note first."""
    for name in reversed(file_names(format)):
        (version.folder / name).unlink(missing_ok=True)
        sync(version.folder)


def _told_of_space(error: NetbootError, folder: Path) -> NetbootError:
    """The programs tell a full disk in the C library's words alone."""
    if os.strerror(errno.ENOSPC) in error.message:
        return unwritten(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    return error
