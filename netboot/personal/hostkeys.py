"""ssh host keys of clients: made once for each, by OpenSSH, and kept in the data directory for root alone.

The kinds are those that `ssh-keygen -A` makes, so that a client which makes what is missing misses none.
"""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path, PurePosixPath

from netboot.errors import Unavailable
from netboot.model.mac import MacAddress
from netboot.personal.entries import Entry, File
from netboot.system.commands import run

log = logging.getLogger(__name__)

KINDS = ("rsa", "ecdsa", "ed25519")

_PLACE = PurePosixPath("etc/ssh")
_PROGRAM = "ssh-keygen"
SSH, _HALF = "ssh", ".ssh"


class HostKeys:
    """Keys below `clients`, a folder with one for each client."""

    def __init__(self, clients: Path) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._is_missed = False

    def entries(self, mac: MacAddress) -> dict[PurePosixPath, Entry]:
        """The client's keys from its root on, made if they are not there, which takes a second or two.

        Without the program that makes them there are none, and clients make their own at each boot.  Raises
        `Unavailable` when they cannot be made or read.
        """
        folder = self._clients / mac.dashed / SSH
        if not folder.is_dir() and shutil.which(_PROGRAM) is None:
            if not self._is_missed:
                log.warning("clients get no ssh host keys of their own: apt-get install openssh-client")
            self._is_missed = True
            return {}
        if not folder.is_dir():
            with self._lock:
                if not folder.is_dir():
                    self._make(folder)
        try:
            return {
                _PLACE / path.name: File(content=path.read_bytes(), mode=0o644 if path.suffix == ".pub" else 0o600)
                for path in sorted(folder.glob("ssh_host_*_key*"))
            }
        except OSError as error:
            raise Unavailable(f"{error.filename} cannot be read: {error.strerror}", hint="run as root") from error

    def _make(self, folder: Path) -> None:
        half = folder.with_name(_HALF)
        try:
            # A daemon that was killed may have left some.
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True, mode=0o700)
            for kind in KINDS:
                file = half / f"ssh_host_{kind}_key"
                run([_PROGRAM, "-q", "-t", kind, "-N", "", "-C", "", "-f", file])
            half.rename(folder)
        except OSError as error:
            raise Unavailable(
                f"{half} cannot be made: {error.strerror}", hint="run as root on a disk with room"
            ) from error
