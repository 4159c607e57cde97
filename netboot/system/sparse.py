"""Sparse files: where a file has data, and holes punched where it needs none.

`SparseFile` is a raw image, or a block device, at offsets.  What the file system cannot tell counts as data; where it
cannot punch holes, zeros are written.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

# <linux/falloc.h>: FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE.
_PUNCH = 0x01 | 0x02
_WRITE_BYTES = 1 << 20


class SparseFile:
    """An open file; behind its end it reads as zeros.  Errors are the system's own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size_bytes = os.lseek(descriptor, 0, os.SEEK_END)

    @classmethod
    def open(cls, path: Path, *, writable: bool = False, create: bool = False) -> Self:
        """Open a file that is there; `create` makes a new one, which must not be there yet."""
        flags = os.O_RDWR if writable or create else os.O_RDONLY
        return cls(os.open(path, flags | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0), 0o644))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    @property
    def size_bytes(self) -> int:
        """As it was when it was opened, or made by ourselves since."""
        return self._size_bytes

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size and (more := os.pread(self._descriptor, size - len(data), offset + len(data))):
            data += more
        return data if len(data) == size else data.ljust(size, b"\0")

    def data(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Where between the two, in order, it has no hole."""
        stop = min(stop, self._size_bytes)
        while start < stop:
            first = self._seek(start, os.SEEK_DATA, none=stop, unknown=start)
            if first >= stop:
                return
            start = self._seek(first, os.SEEK_HOLE, none=stop, unknown=stop)
            yield first, min(start, stop)

    def _seek(self, offset: int, what: int, *, none: int, unknown: int) -> int:
        try:
            return os.lseek(self._descriptor, offset, what)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return none
            if error.errno == errno.EINVAL:  # a block device
                return unknown
            raise

    def write(self, offset: int, data: bytes) -> None:
        written = os.pwrite(self._descriptor, data, offset)
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], offset + written)
        self._size_bytes = max(self._size_bytes, offset + len(data))

    def zero(self, offset: int, size: int) -> None:
        """Punch a hole, or write zeros; the size stays."""
        size = min(size, self._size_bytes - offset)
        if size <= 0 or _libc.fallocate(self._descriptor, _PUNCH, offset, size) == 0:
            return
        number = ctypes.get_errno()
        if number != errno.EOPNOTSUPP:
            raise OSError(number, os.strerror(number))
        for start in range(offset, offset + size, _WRITE_BYTES):
            self.write(start, bytes(min(_WRITE_BYTES, offset + size - start)))

    def resize(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)
        self._size_bytes = size_bytes

    def sync(self) -> None:
        os.fsync(self._descriptor)
