"""What a version's files hold, as entries for its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from netboot.images import verity
from netboot.images.blocks import Advance, unheard
from netboot.images.entries import FILES, FileEntry, Files, RootEntry, VerityEntry
from netboot.images.identity import filesystem_uuids, verity_salt
from netboot.model.image import Digest
from netboot.system.sparse import SparseFile

_CHUNK = 4 << 20


def hash_file(file: Path, advance: Advance = unheard) -> FileEntry:
    """A file's size and SHA-256, read once."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb", buffering=0) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            advance(len(chunk))
    return FileEntry(size_bytes=size, digest=Digest(digest.hexdigest()))


def measure_whole(directory: Path, image: str, number: int, advance: Advance = unheard) -> Files:
    """The entries of a version that is stored whole, whose root, kernel and initrd are in `directory`.

    Writes the root's hash tree beside it.
    """
    root, tree, salt = directory / FILES["root"], directory / FILES["verity"], verity_salt(image)
    _, uuid = filesystem_uuids(image, number)
    tree.unlink(missing_ok=True)
    with SparseFile.open(root) as data, SparseFile.open(tree, create=True) as target:
        root_hash = verity.build(data, target, salt=salt, uuid=uuid, advance=advance)
        size_bytes = data.size_bytes
    return Files(
        root=RootEntry(size_bytes=size_bytes, verity=VerityEntry(root_hash=root_hash, salt=salt, tree=hash_file(tree))),
        kernel=hash_file(directory / FILES["kernel"], advance),
        initrd=hash_file(directory / FILES["initrd"], advance),
    )
