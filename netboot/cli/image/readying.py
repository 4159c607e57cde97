"""A version's root made, with a bar, before somebody needs it as a file."""

from __future__ import annotations

from pathlib import Path

from netboot.images.roots import lineage_of
from netboot.images.store import ImageStore
from netboot.model.image import Version


def make_ready(store: ImageStore, version: Version, *, quiet: bool) -> Path:
    """The root of `version` as a raw file; makes it, which may take minutes, unless it is there."""
    if store.has_root(version):
        return version.root.path
    from netboot.cli.progress import byte_progress  # takes as long to load as a draft to open

    with byte_progress(lineage_of(version, store.find).work_bytes, what="making its root", quiet=quiet) as advance:
        return store.materialise(version, advance)
