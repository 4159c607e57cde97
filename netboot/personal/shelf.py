"""Archives that were made already, each for as long as what it was made of is the same; in bounded memory."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

from netboot.personal.collect import walk

_KEPT_MAX_BYTES = 64 << 20


class Shelf:
    """The last archive of each key, which may be asked for by several threads."""

    def __init__(self, kept_max_bytes: int = _KEPT_MAX_BYTES) -> None:
        self._kept_max_bytes = kept_max_bytes
        self._archives: OrderedDict[Hashable, tuple[bytes, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, sign: bytes, make: Callable[[], bytes]) -> bytes:
        """The archive of `key` that was made under the same `sign`, else a new one."""
        with self._lock:
            kept = self._archives.pop(key, None)
        archive = kept[1] if kept and kept[0] == sign else make()
        with self._lock:
            self._archives[key] = sign, archive
            while sum(len(each) for _, each in self._archives.values()) > self._kept_max_bytes:
                self._archives.popitem(last=False)
        return archive


def sign_of(settings: object, folders: Iterable[Path]) -> bytes:
    """Another one when `settings`, by their repr, or anything below the folders is another."""
    digest = hashlib.blake2b(repr(settings).encode())
    for folder in folders:
        for path, status in walk(folder):
            seen = (str(path), status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            digest.update(repr(seen).encode())
    return digest.digest()
