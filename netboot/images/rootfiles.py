"""The file of a version's root in the format that a client mounts."""

from __future__ import annotations

from netboot.errors import NotFound, Unavailable
from netboot.images.store import ImageStore
from netboot.model.image import Root, Version
from netboot.model.root import RootFiles, RootFormat


def root_files(store: ImageStore, version: Version, format: RootFormat = RootFormat.EXT4) -> RootFiles:
    """The file and its dm-verity tree, made if they are not there, which may take a while."""
    if format is not RootFormat.EXT4:
        raise Unavailable(f"{version.label} is not there as {format}", hint="let its clients have root_format = ext4")
    store.materialise(version)
    return _files(version.root)


def known_files(version: Version, format: RootFormat) -> RootFiles:
    """What `root_files` gives, without making anything.  Raises `NotFound` for a format that is yet to be derived."""
    if format is not RootFormat.EXT4:
        raise NotFound(
            f"{version.label} is not there as {format}; it is made for the first client that wants it",
            hint=f"make it now: netboot image derive {version.label} --format {format}",
        )
    return _files(version.root)


def _files(root: Root) -> RootFiles:
    if root.verity is None:
        return RootFiles(path=root.path)
    return RootFiles(path=root.path, tree=root.verity.tree.path, root_hash=root.verity.root_hash)
