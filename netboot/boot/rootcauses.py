"""Why a client could not attach its root, from what its programs said, or its loader the disk that it boots from.

The words are those of mount.nfs (nfs-utils), iscsistart (open-iscsi; its numbers are those of iscsi_err.h), and of our
own initramfs, which names the step that failed first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RootCause:
    """The likely cause, and what would help."""

    cause: str
    hint: str


def root_cause(message: str) -> RootCause | None:
    """The first that the message speaks for; None when it says nothing that we know."""
    return next((found for pattern, found in _CAUSES if pattern.search(message)), None)


def san_cause(file: str, message: str) -> RootCause | None:
    """Why iPXE could not boot from a disk, None when it was none.

    `file` is what it says that failed (templates/ipxe/san.ipxe.j2), `message` its error number, as 0x2c0d603b, of which
    the first two digits are the kind of error (iPXE's include/errno.h).
    """
    if file == "san":
        return _UNATTACHED_BY_ERROR.get(message[:4], _UNATTACHED)
    return _NO_LOADER if file == "san-loader" else None


def _cause(pattern: str, cause: str, hint: str) -> tuple[re.Pattern[str], RootCause]:
    return re.compile(pattern, re.IGNORECASE), RootCause(cause, hint)


_CAUSES: tuple[tuple[re.Pattern[str], RootCause], ...] = (
    _cause(
        r"own files.*\b403\b",
        "the server did not let the client have what is its own: it cannot tell that the address is the client's",
        "netboot events tells why (data-refused); docs/clients-own.md says to whom it is given",
    ),
    _cause(
        r"own files.*\b50[03]\b",
        "the server could not make the archive with what is the client's own",
        "its log names what is wrong: a template, a file, the client's volume",
    ),
    _cause(
        r"what the client keeps",
        "the client could not mount or fill what it keeps on the server",
        "see the server's log, and netboot client data list",
    ),
    _cause(
        r"\bverity\b",
        "the root is not, bit for bit, what was published, and the client runs nothing of what is damaged",
        "find what is damaged, and mend it: netboot image fsck --repair",
    ),
    # 24: login failed due to authorization failure.
    _cause(
        r"authori[sz]ation failure|authentication failure|\b24\b.*login",
        "the iSCSI target refused the client: its name or its secret is not what this server has for it",
        "switch it on again, so that it fetches them anew; then see netboot client explain NAME",
    ),
    _cause(
        r"access denied|not permitted|permission denied",
        "the server did not let the client have its root: the export is not for its network",
        "check its address, and that a [[subnet]] holds it: netboot client explain NAME",
    ),
    # 19: login failed for good, since no such target was found.  tgt says so as well to whom it does not admit.
    _cause(
        r"target not found|\b19\b.*login",
        "the iSCSI server has no such disk for the client: it is not exported any more, or not to the name that the"
        " client logs in by",
        "switch it on again, so that it is told both anew; netboot client explain NAME says what they are",
    ),
    _cause(
        r"no such file|does not exist|no records found|not found.*login|\b3\b.*login",
        "what the client was told to mount is not exported any more",
        "switch it on again, so that it is told what there is now; netboot client explain NAME says what",
    ),
    _cause(
        r"no answer|timed out|connection refused|no route|unreachable|cannot make connection|transport",
        "the server of its root does not answer the client",
        "check that it runs, and that TCP ports 2049 (NFS) and 3260 (iSCSI) are open to the client",
    ),
    _cause(
        r"no space left",
        "the client's temporary layer is full",
        "give it a larger one: netboot client set NAME --upper",
    ),
    _cause(
        r"temporary layer",
        "the client could not make its temporary layer",
        "see netboot client explain NAME; a layer on a disk needs a file system with that label",
    ),
)

_UNATTACHED = RootCause(
    "iPXE could not attach the disk that the client boots from: its iSCSI server does not answer, has no such disk, or"
    " does not admit the client",
    "see netboot client explain NAME: the disk's URI has to be right, and its server has to admit that initiator",
)
_UNATTACHED_BY_ERROR = {
    # ENODEV; tgt says so as well to whom it does not admit.
    "0x2c": RootCause(
        "the iSCSI server has no such disk for the client: it is not there, or not for the name that iPXE logs in by",
        _UNATTACHED.hint,
    ),
    # ETIMEDOUT
    "0x4c": RootCause(
        "the iSCSI server of the disk that the client boots from does not answer",
        "check that it runs, and that its TCP port (3260, unless the URI names one) is open to the client",
    ),
}
_NO_LOADER = RootCause(
    "iPXE has the disk that the client boots from, but what is on it did not start or came back",
    "it needs a boot loader for the client's firmware: in its first sector for BIOS, EFI/BOOT/BOOTX64.EFI for UEFI",
)
