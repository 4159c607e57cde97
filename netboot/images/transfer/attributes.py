"""What a file has besides its content: owner, rights, labels, time."""

from __future__ import annotations

import errno
import os
from collections.abc import Set
from contextlib import suppress

from netboot.images.transfer.entry import Entry, Kind, kept_xattrs


def dress(descriptor: int, entry: Entry) -> None:
    """Owner, then mode (chown clears set-uid bits), then labels (and capabilities), then time."""
    # The link in /proc is that of the very file, also of a symbolic link, for which there is no other way.
    path = f"/proc/self/fd/{descriptor}"
    os.chown(path, entry.uid, entry.gid)
    if entry.kind is not Kind.SYMLINK:
        os.chmod(path, entry.mode)  # noqa: PTH101
    wanted = kept_xattrs(entry.xattrs)
    if entry.kind is Kind.FOLDER:
        _drop_xattrs(path, wanted.keys())
    for name, value in wanted.items():
        try:
            os.setxattr(path, name, value)
        except OSError as error:
            # Labels of a kind that this kernel has no use for (SELinux's, ACLs of another file system).
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    if entry.kind is not Kind.FOLDER:
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def _drop_xattrs(path: str, wanted: Set[str]) -> None:
    """A folder that was there already has those of the lower layer, which the new ones replace."""
    with suppress(OSError):
        for name in os.listxattr(path):
            if name not in wanted:
                os.removexattr(path, name)
