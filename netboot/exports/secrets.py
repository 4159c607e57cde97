"""The secrets by which iSCSI clients prove who they are: kept nowhere, since each follows from the installation's."""

from __future__ import annotations

import hashlib

from netboot.exports.targets import Chap

# 96 bits, which RFC 3720 section 8.2.1 asks for where there is no IPsec.
_BYTES = 12


def chap_of(seed: bytes, initiator: str) -> Chap:
    """What an initiator logs in by, the same as long as the installation's `seed` lives."""
    digest = hashlib.blake2b(initiator.encode(), key=seed[:64], digest_size=_BYTES, person=b"iscsi-chap")
    return Chap(user=initiator.rpartition(":")[2], secret=digest.hexdigest())
