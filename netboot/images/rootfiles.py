"""The file of a version's root in the format that a client mounts."""

from __future__ import annotations

from netboot.errors import NotFound
from netboot.images.derive import ensure
from netboot.images.derived import find_derived
from netboot.images.store import ImageStore
from netboot.model.image import Root, Version
from netboot.model.root import RootFiles, RootFormat


def root_files(store: ImageStore, version: Version, format: RootFormat = RootFormat.EXT4) -> RootFiles:
    """The file and its dm-verity tree, made if they are not there, which may take a while."""
    if format is not RootFormat.EXT4:
        return _files(ensure(store, version, format))
    store.materialise(version)
    return _files(version.root)


def known_files(version: Version, format: RootFormat) -> RootFiles:
    """What `root_files` gives, without making anything.  Raises `NotFound` for a format that is yet to be derived."""
    root = version.root if format is RootFormat.EXT4 else find_derived(version, format)
    if root is None:
        raise NotFound(
            f"{version.label} is not there as {format}; it is made for the first client that wants it",
            hint=f"make it now: netboot image derive {version.label} --format {format}",
        )
    return _files(root)


def is_at_hand(version: Version, format: RootFormat) -> bool:
    """Whether nothing has to be made first.  What was dropped nobody needed, so nobody runs from it."""
    try:
        return known_files(version, format).path.exists()
    except NotFound:
        return False


def _files(root: Root) -> RootFiles:
    if root.verity is None:
        return RootFiles(path=root.path)
    return RootFiles(path=root.path, tree=root.verity.tree.path, root_hash=root.verity.root_hash)
