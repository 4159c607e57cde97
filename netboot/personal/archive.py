"""A client's own entries as a tar archive: the same entries are the same bytes.

All owners are root, all times 0: what the client is given depends on nothing that it is not given.
"""

from __future__ import annotations

import io
import tarfile

from netboot.errors import InvalidInput
from netboot.personal.entries import Entries, Entry, File, Folder, Link

# A client holds it in memory several times over while it boots.
ARCHIVE_MAX_BYTES = 16 << 20


def pack(entries: Entries) -> bytes:
    """The archive, uncompressed.  Raises `InvalidInput` when it is too large."""
    total = sum(len(each.content) for each in entries.values() if isinstance(each, File))
    if total > ARCHIVE_MAX_BYTES:
        raise InvalidInput(
            f"its own files come to {total >> 20} MiB, and a client can have {ARCHIVE_MAX_BYTES >> 20} MiB",
            hint="put what is large into the image",
        )
    buffer = io.BytesIO()
    # GNU's form: busybox reads its long names, and no extended headers.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for place in sorted(entries):
            _add(archive, str(place), entries[place])
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, entry: Entry) -> None:
    member = tarfile.TarInfo(name)
    match entry:
        case Folder():
            member.type, member.mode = tarfile.DIRTYPE, entry.mode
            archive.addfile(member)
        case Link():
            member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, entry.target
            archive.addfile(member)
        case File():
            member.mode, member.size = entry.mode, len(entry.content)
            archive.addfile(member, io.BytesIO(entry.content))
