"""The secrets by which iSCSI clients prove who they are: kept nowhere, since each follows from the installation's."""

from __future__ import annotations

import hashlib

from netboot.exports.targets import Chap
from netboot.model.iscsi import initiator_name
from netboot.model.root import RootMode
from netboot.model.target import ImageTarget

# 96 bits, which RFC 3720 section 8.2.1 asks for where there is no IPsec.
_BYTES = 12


def chap_of(seed: bytes, initiator: str) -> Chap:
    """What an initiator logs in by, the same as long as the installation's `seed` lives."""
    digest = hashlib.blake2b(initiator.encode(), key=seed[:64], digest_size=_BYTES, person=b"iscsi-chap")
    return Chap(user=initiator.rpartition(":")[2], secret=digest.hexdigest())


def chap_for(seed: bytes, image: ImageTarget, *, always: bool) -> Chap | None:
    """What a client logs in to its root by.

    None where it needs no secret: where its root is no disk, or, unless `always`, one that others have as well.
    """
    if image.root is not RootMode.ISCSI or not (always or image.has_own_disk):
        return None
    return chap_of(seed, initiator_name(image.hostname))
