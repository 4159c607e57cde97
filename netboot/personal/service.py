"""What the boot listener asks: the archive with what is a client's own, for whoever may have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

from netboot.errors import NotPermitted
from netboot.exports.targets import Chap
from netboot.model.sizes import parse_size
from netboot.model.target import ImageTarget
from netboot.personal.archive import pack
from netboot.personal.entries import Entries, File, beneath, laid_over
from netboot.personal.hostkeys import SSH, HostKeys
from netboot.personal.layout import (
    IN_ARCHIVE,
    ROOT,
    file_entries,
    file_folders,
    settings_entries,
    template_folders,
    values_of,
)
from netboot.personal.permission import Asker, is_unknown, refusal
from netboot.personal.shelf import Shelf, sign_of
from netboot.personal.volumes import Volumes
from netboot.personal.windows import BootWindows

# Making keys takes seconds, and leases are committed by other threads.
_THREADS = 2
# The archive's member with what the client keeps: its export on the first line, then a path a line.
_KEPT = "persist"
# The member with the user and the secret by which the client logs in to its iSCSI target.
_CHAP = "secrets/chap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: by whom, from which address, at which of ours, and the folders of templates that hold now."""

    asker: Asker
    address: IPv4Address
    server: IPv4Address
    templates: Sequence[Path]


class OwnData:
    """Makes archives in threads of its own.  Ends with `close`.

    `chap_of` gives what a client proves itself by to its iSCSI target, None where it need not.
    """

    def __init__(
        self,
        clients: Path,
        windows: BootWindows,
        volumes: Volumes,
        *,
        chap_of: Callable[[ImageTarget], Chap | None] | None = None,
    ) -> None:
        self._clients = clients
        self._windows = windows
        self._volumes = volumes
        self._chap_of = chap_of
        self._keys = HostKeys(clients)
        self._shelf = Shelf()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="own-data")

    async def archive(self, target: ImageTarget, asked: Asked) -> bytes:
        """The archive.  Raises `NotPermitted` for who may not have it, else as its makers do."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.make, target, asked)

    def make(self, target: ImageTarget, asked: Asked) -> bytes:
        """As `archive`, and blocks."""
        refused = refusal(target.mac, asked.asker, is_booting=self._windows.is_open(target.mac))
        if refused is not None and (target.files or target.persist or not is_unknown(asked.asker)):
            raise NotPermitted(f"{asked.address} may not have what is {target.hostname}'s own: {refused}")
        trusted = refused is None
        # Each time, as each time it may have another address.
        kept = self._kept(target, asked) if target.persist else None
        folders = [*template_folders(target, asked.templates), *file_folders(target)]
        if target.host_keys:
            folders.append(self._clients / target.mac.dashed / SSH)
        sign = sign_of((replace(target, reason=""), asked.address, asked.server), folders)
        return self._shelf.get(
            (target.mac, trusted), sign, lambda: pack(self._entries(target, asked, kept, trusted=trusted))
        )

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _kept(self, target: ImageTarget, asked: Asked) -> File:
        """Where its volume is, and what lies there, once it may mount it."""
        place = self._volumes.ensure(target.mac, asked.address, parse_size(target.persist_size.upper()))
        lines = (f"{asked.server}:{place}", *topmost(target.persist))
        return File(content="".join(f"{line}\n" for line in lines).encode(), mode=0o600)

    def _entries(self, target: ImageTarget, asked: Asked, kept: File | None, *, trusted: bool) -> Entries:
        values = values_of(target, address=asked.address, server=asked.server)
        trees = list(settings_entries(target, asked.templates, values))
        if trusted and target.host_keys:
            trees.append(beneath(IN_ARCHIVE[ROOT], self._keys.entries(target.mac)))
        if trusted:
            trees += file_entries(target, values)
        if trusted and self._chap_of is not None and (chap := self._chap_of(target)):
            trees.append({PurePosixPath(_CHAP): File(content=f"{chap.user} {chap.secret}\n".encode(), mode=0o600)})
        if kept is not None:
            trees.append({PurePosixPath(_KEPT): kept})
        return laid_over(trees)


def topmost(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths that lie in none of the others: whoever keeps /home keeps /home/kim."""
    return tuple(each for each in paths if not any(each.startswith(f"{other}/") for other in paths))
