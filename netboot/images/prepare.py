"""Making a tree anonymous: what must not be the same on two clients, or came from the machine that built it, goes.

Names, ids and keys come from outside at each boot; caches, logs and lists are rebuilt or not needed.  The lists are the
experience of others (LTSP's excludes, virt-sysprep) and our own: /etc/hostname and /etc/resolv.conf of the building
machine leak into a fresh Debian tree.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Patterns below the tree.
REMOVED = (
    # identity
    "etc/hostname",
    "etc/krb5.keytab",
    "etc/nvme/host*",
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    # network
    "etc/NetworkManager/system-connections/*",
    "etc/resolv.conf",
    "etc/udev/rules.d/*persistent-net*",
    "var/lib/NetworkManager/*",
    "var/lib/dhcp/*",
    "var/lib/dhcpcd/*",
    # of the build: the proxy and options of the building machine's apt
    "etc/apt/apt.conf.d/99mmdebstrap",
    # state
    "etc/*-",
    "root/.bash_history",
    "run/*",
    "tmp/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/cache/man/*",
    "var/crash/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/lib/systemd/timers/*",
    "var/log/**/*.log",
    "var/log/apt/*",
    "var/log/journal/*",
    "var/log/[bwl]tmp",
    "var/log/lastlog",
    "var/tmp/*",
)

# Files that must exist, empty: systemd fills in an empty machine-id from the kernel line, and takes a missing
# one for a first boot; the root and its overlay are mounted before anybody reads fstab.
EMPTIED = ("etc/machine-id", "etc/fstab")


def prepare(tree: Path) -> None:
    """Make `tree` fit for many clients at once.  Doing it again changes nothing."""
    for pattern in REMOVED:
        # A list first: what is removed must not be walked.
        for path in list(tree.glob(pattern)):
            _remove(path)
    for name in EMPTIED:
        (tree / name).write_bytes(b"")
        (tree / name).chmod(0o644)
    _mark_updated(tree)


def _mark_updated(tree: Path) -> None:
    """Tell systemd that /etc and /var belong to this /usr, systemd-update-done(8).

    Without the marks every boot of every client takes the image for freshly updated and rebuilds users, hardware
    database and caches, into the temporary layer.
    """
    # One second more: the file system is made with whole seconds.
    stamp = int((tree / "usr").stat().st_mtime) + 1
    for folder in ("etc", "var"):
        mark = tree / folder / ".updated"
        mark.write_text(f"TIMESTAMP_NSEC={stamp * 10**9}\n", encoding="utf-8")
        os.utime(mark, (stamp, stamp))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
