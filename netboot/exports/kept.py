"""The files that clients run from, kept beside the exports as hard links.

So a version can be removed while clients run it: they keep what they have.  A daemon that starts learns from the
folders what was exported before, and lets go of what it does not export again.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from netboot.errors import Unavailable
from netboot.model.root import RootFiles


def keep_files(files: RootFiles, folder: Path) -> RootFiles:
    """The same files, linked into `folder`, which they have for themselves.

    Where images and exports lie on two file systems, or images cannot be written, it is the files themselves.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return replace(files, path=_link(files.path, folder), tree=_link(files.tree, folder) if files.tree else None)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EROFS):
            raise Unavailable(f"{files.path} cannot be linked into {folder}: {error.strerror}") from error
        return files


def kept_files(files: RootFiles, folder: Path) -> RootFiles:
    """Where `keep_files` puts them, whether or not it did already."""
    return replace(files, path=folder / files.path.name, tree=folder / files.tree.name if files.tree else None)


def forget_files(root: Path, kept: Collection[Path]) -> None:
    """Remove the folders IMAGE/FORM below `root`, but for those `kept`."""
    for folder in root.glob("[!.]*/*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _link(file: Path, folder: Path) -> Path:
    """A link to `file`; one that is there is kept if it is the same file, since clients may have it open."""
    link = folder / file.name
    if link.exists() and link.samefile(file):
        return link
    link.unlink(missing_ok=True)
    os.link(file, link)
    return link
