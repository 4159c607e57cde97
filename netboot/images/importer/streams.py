"""Files of a source as streams: unpacked as they are read, and with a tally of how far that is."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from netboot.errors import InvalidInput
from netboot.images.importer.detect import HEAD_BYTES, Compression, compression_of
from netboot.images.importer.options import Tell
from netboot.images.transfer.tar import Reader
from netboot.system.commands import CommandFailed, piped

# Filters that unpack.  What they may need of memory is the archive's to say, so it is bounded.
UNPACKERS: Mapping[Compression, tuple[str, ...]] = {
    Compression.GZIP: ("gzip", "-dc"),
    Compression.XZ: ("xz", "-dc", "--memlimit-decompress=1GiB"),
    Compression.ZSTD: ("zstd", "-dcq", "--memory=1024MB"),
    Compression.BZIP2: ("bzip2", "-dc"),
}

_TELL_S = 0.1


@contextmanager
def unpacked(source: BinaryIO, *, whole: bool = True) -> Iterator[Reader]:
    """The content of an open file, whatever it is compressed with; not the `whole` is wanted by who only has a look."""
    source.seek(0)
    compression = compression_of(source.read(HEAD_BYTES))
    if compression is None:
        source.seek(0)
        yield source
        return
    # The filter reads on where the file stands, which is not where our buffer does.
    os.lseek(source.fileno(), 0, os.SEEK_SET)
    try:
        with piped(UNPACKERS[compression], source.fileno(), whole=whole) as content:
            yield content
    except CommandFailed as error:
        said = error.completed.stderr.strip().splitlines()
        reason = said[-1] if said else f"{compression} gave up"
        raise InvalidInput(f"its compression is broken: {reason}", hint="fetch it again, or make it anew") from error


class Told:
    """A reader that tells on the way how much of `source`, which it reads in the end, is behind us."""

    def __init__(self, reader: Reader, source: BinaryIO, tell: Tell, *, before: int = 0, total: int | None = None):
        self._reader, self._source, self._tell, self._before = reader, source, tell, before
        self._total = os.fstat(source.fileno()).st_size if total is None else total
        self._last = 0.0

    def read(self, count: int, /) -> bytes:
        data = self._reader.read(count)
        if (now := time.monotonic()) - self._last >= _TELL_S:
            self._last = now
            # A filter that unpacks shares our place in the file.
            self._tell(self._before + os.lseek(self._source.fileno(), 0, os.SEEK_CUR), self._total)
        return data


class Hashed:
    """A reader that remembers the SHA-256 and length of what went through it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._sum = hashlib.sha256()
        self.size_bytes = 0

    def read(self, count: int, /) -> bytes:
        data = self._reader.read(count)
        self._sum.update(data)
        self.size_bytes += len(data)
        return data

    @property
    def hex(self) -> str:
        return self._sum.hexdigest()
