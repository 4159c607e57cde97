"""What an image and its versions are called by file systems and hash trees: derived from names, never random.

So they are the same wherever an image is built, and two versions of an image differ in nothing but what was changed.
"""

from __future__ import annotations

import hashlib
import uuid

from netboot.model.root import RootFormat

# UUIDs of file systems are derived from names in this space.
NAMESPACE = uuid.UUID("6f0b7a52-3f0e-5d0c-9a3e-6b0d1c2f4e58")


def filesystem_uuids(image: str, number: int) -> tuple[uuid.UUID, uuid.UUID]:
    """The seed that all versions of an image share, and this version's own UUID.

    The seed goes into directory hashes and checksums: were it different, every block of metadata would be, and a
    change between versions would look like a new image.  The UUID names the file system to NFS servers, which
    must tell versions apart.
    """
    return uuid.uuid5(NAMESPACE, image), uuid.uuid5(NAMESPACE, f"{image}:{number}")


def derived_uuid(image: str, number: int, format: RootFormat) -> uuid.UUID:
    """Of the file system that is derived of a version in this format, and of its hash tree."""
    return uuid.uuid5(NAMESPACE, f"{image}:{number}:{format}")


def verity_salt(image: str) -> bytes:
    """The salt of the hash trees of an image's versions: SHA-256 of the 16 bytes of its seed.

    The same for all of them, since a tree is made from its parent's and the changed blocks.
    """
    seed, _ = filesystem_uuids(image, 1)
    return hashlib.sha256(seed.bytes).digest()
