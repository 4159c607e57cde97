"""The file of a version's root in the format that a client mounts."""

from __future__ import annotations

from netboot.errors import Unavailable
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.root import RootFiles, RootFormat


def root_files(store: ImageStore, version: Version, format: RootFormat = RootFormat.EXT4) -> RootFiles:
    """The file and its dm-verity tree, made if they are not there, which may take a while."""
    if format is not RootFormat.EXT4:
        raise Unavailable(f"{version.label} is not there as {format}", hint="let its clients have root_format = ext4")
    path, verity = store.materialise(version), version.root.verity
    if verity is None:
        return RootFiles(path=path)
    return RootFiles(path=path, tree=verity.tree.path, root_hash=verity.root_hash)
