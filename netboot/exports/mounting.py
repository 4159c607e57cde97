"""A form of a version as a directory that an NFS server can export: its tree, or a folder with its file system's file.

A tree is the version's file system, mounted.  A file is shown on a file system of its own, an overlay with nothing
in it but the file and its dm-verity tree: who is given a directory of a file system can ask an NFS server for
any file of it by a handle that he makes up, and the data directory's file system holds what is nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from netboot.errors import NetbootError, NotPermitted, Unavailable
from netboot.exports.kept import keep_files
from netboot.exports.plan import Export
from netboot.model.image import Version
from netboot.model.root import RootFiles, RootForm
from netboot.system.loop import attached, find_loop
from netboot.system.mounts import Mount, mount_folder_alone, mount_read_only, mounted, unmount

# Below the folder of exports: the files of each export that has files, as `kept` has it.  No image is called so.
FILES = ".files"
# In a folder of its own, since it is that folder which is shown.
_SHOWN = "files"


def mount_form(export: Export, version: Version, form: RootForm, files: RootFiles, *, root: Path) -> None:
    """Mount the form at the export's path, unless it is there already; `root` is the folder of all exports."""
    _make_folder(export.path)
    there = mounted(export.path)
    if there is not None and not _is_right(there, export, form, files):
        # Another file system, as after a data directory was moved: nobody can be using it in earnest.
        unmount(export.path, lazy=True)
        there = None
    if there is not None:
        return
    try:
        if form.format is None:
            with attached(files.path) as device:
                mount_read_only(device, export.path, fstype=version.filesystem)
        else:
            kept = keep_files(files, kept_at(export, root=root) / _SHOWN)
            scratch = root / FILES
            scratch.mkdir(exist_ok=True)
            mount_folder_alone(kept.path.parent, export.path, scratch=scratch, name=export.fsid)
    except NotPermitted:
        raise
    except NetbootError as error:
        hint = error.hint or f"see whether its file is whole: netboot image fsck {version.label}"
        raise Unavailable(error.message, hint=hint) from error


def kept_at(export: Export, *, root: Path) -> Path:
    """Where the files of an export are kept that has some."""
    return root / FILES / export.path.relative_to(root)


def _is_right(there: Mount, export: Export, form: RootForm, files: RootFiles) -> bool:
    if form.format is None:
        return there.source == str(find_loop(files.path))
    return there.source == export.fsid


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{path}, where a version is mounted, cannot be made: {error.strerror}",
            hint="make the data directory writable, or name another --data-dir",
        ) from error


def unmount_below(root: Path, mounts: Iterable[Mount]) -> None:
    """Unmount what is mounted below `root`, the last first."""
    for mount in reversed(list(mounts)):
        if root in mount.target.parents:
            _unmount(mount.target)


def _unmount(target: Path) -> None:
    try:
        unmount(target)
    except NetbootError:
        # An NFS server may hold it a moment longer; then it goes with its last user.
        with suppress(NetbootError):
            unmount(target, lazy=True)
