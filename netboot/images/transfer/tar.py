"""Reading and writing tar archives as a stream: one pass, bounded memory, whatever the archive holds.

An archive that is cut off or damaged is an error that says where, never the end of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from netboot.errors import InvalidInput
from netboot.images.transfer import headers, sparse
from netboot.images.transfer.entry import Entry, Kind, parse_path, show
from netboot.images.transfer.fields import BLOCK, bounded, padding
from netboot.images.transfer.headers import Header
from netboot.images.transfer.records import parse_records
from netboot.images.transfer.sparse import Parts

# The content of a file: (offset, bytes) in order, without its holes.
Chunks = Iterator[tuple[int, bytes]]
Item = tuple[Entry, Chunks]

_CHUNK = 1 << 20
# GNU tar's volume labels and parts of several volumes: the first say nothing, the second are half a file.
_LABEL, _CONTINUED = b"V", b"M"


class Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...


def read_tar(source: Reader, *, end_required: bool = True) -> Iterator[Item]:
    """The files of an archive, each with its content, which is to be taken before the next file is asked for.

    Raises `InvalidInput` for a broken archive.  `end_required` is for archives that nothing else vouches for: without
    its end mark one that was cut off between two files would pass for whole.
    """
    stream = _Stream(source)
    usual: dict[str, bytes] = {}
    extra: dict[str, bytes] = {}
    while True:
        block = stream.block(end_allowed=not end_required)
        header = _header(block, stream.position)
        if header is None:
            break
        match header.type:
            case b"x" | b"g" | b"X":
                records = parse_records(stream.small(header))
                (usual if header.type == b"g" else extra).update(records)
            case b"L":
                extra.setdefault("path", stream.small(header).rstrip(b"\0"))
            case b"K":
                extra.setdefault("linkpath", stream.small(header).rstrip(b"\0"))
            case _ if header.type == _LABEL:
                stream.skip(headers.content_bytes(header, {}))
            case _ if header.type == _CONTINUED:
                raise InvalidInput("the archive is one of several volumes", hint="join them with tar first")
            case _:
                yield from _file(stream, header, {**usual, **extra})
                extra = {}
    if extra:
        raise InvalidInput("the archive ends with a header for a file that it does not have")
    stream.drain()


def write_tar(items: Iterable[Item], target: Writer, *, holes: bool) -> None:
    """One archive of these files, in their order; with `holes`, those of files are left out (GNU's format 1.0)."""
    for entry, chunks in items:
        if holes and entry.data is not None and entry.kind is Kind.FILE:
            _write_sparse(entry, chunks, target)
            continue
        target.write(headers.encode(entry))
        if entry.kind is Kind.FILE:
            _write_content(entry, chunks, target)
    target.write(headers.end_of_archive())


def _header(block: bytes, position: int) -> Header | None:
    try:
        return headers.parse_header(block) if block else None
    except InvalidInput as error:
        raise InvalidInput(f"the archive is broken at byte {position - BLOCK}: {error.message}") from error


def _file(stream: _Stream, header: Header, extra: Mapping[str, bytes]) -> Iterator[Item]:
    entry = headers.entry_of(header, extra)
    stored = headers.content_bytes(header, extra)
    parts, size, consumed = _parts(stream, header, extra, stored)
    target = parse_path(entry.target) if entry.kind is Kind.HARDLINK else entry.target
    if entry.kind is Kind.SYMLINK and (not target or b"\0" in target):
        raise InvalidInput(f"the link {show(entry.path)} leads nowhere")
    is_file = entry.kind is Kind.FILE
    whole = Entry(
        path=parse_path(entry.path),
        kind=entry.kind,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime_ns=entry.mtime_ns,
        size=size if is_file else 0,
        target=target,
        device=entry.device,
        xattrs=entry.xattrs,
        data=parts if is_file else None,
    )
    content = stream.content(iter(whole.parts)) if is_file else iter(())
    yield whole, content
    for _ in content:
        pass  # what the taker did not want
    if not is_file:
        stream.skip(stored - consumed)
    stream.skip(padding(stored))


def _parts(stream: _Stream, header: Header, extra: Mapping[str, bytes], stored: int) -> tuple[Parts | None, int, int]:
    """The parts of a sparse file (None: it is not one), its size, and the bytes of content that told them."""
    if header.type == b"S":
        parts, more = sparse.old_sparse_map(header.raw, first=True)
        size = sparse.old_sparse_size(header.raw)
        while more:
            found, more = sparse.old_sparse_map(stream.block(), first=False)
            parts += found
            bounded(16 * len(parts), "a sparse file's map")
        return sparse.checked_map(parts, size=size, stored=stored), size, 0
    if extra.get("GNU.sparse.major") == b"1":
        parts, consumed = stream.sparse_map(stored)
        size = sparse.sparse_size(extra)
        return sparse.checked_map(parts, size=size, stored=stored - consumed), size, consumed
    if "GNU.sparse.map" in extra:
        size = sparse.sparse_size(extra)
        parts = sparse.sparse_map(extra["GNU.sparse.map"])
        return sparse.checked_map(parts, size=size, stored=stored), size, 0
    return None, stored, 0


def _write_content(entry: Entry, chunks: Chunks, target: Writer) -> None:
    at = 0
    for offset, data in chunks:
        _write_zeros(offset - at, target)
        target.write(data)
        at = offset + len(data)
    _expect(entry, at <= entry.size)
    _write_zeros(entry.size - at + padding(entry.size), target)


def _write_sparse(entry: Entry, chunks: Chunks, target: Writer) -> None:
    parts = entry.parts
    # As GNU tar does, a last part of length 0 tells where the file ends.
    table = sparse.encode_sparse_map((*parts, (entry.size, 0)))
    stored = sum(length for _, length in parts)
    target.write(headers.encode(entry, follows=len(table) + stored, more=sparse.sparse_records(entry)))
    target.write(table)
    written = 0
    for _, data in chunks:
        target.write(data)
        written += len(data)
    _expect(entry, written == stored)
    target.write(bytes(padding(stored)))


def _expect(entry: Entry, fits: bool) -> None:
    if not fits:
        raise InvalidInput(f"{show(entry.path)} changed while it was read", hint="read from a snapshot, or once more")


def _write_zeros(count: int, target: Writer) -> None:
    while count > 0:
        target.write(bytes(min(count, _CHUNK)))
        count -= _CHUNK


class _Stream:
    """The archive's bytes in order, and how many of them there were."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self.position = 0

    def block(self, *, end_allowed: bool = False) -> bytes:
        """The next 512 bytes; nothing at the end of the stream if that may be here."""
        data = self._upto(BLOCK)
        if not data and end_allowed:
            return b""
        if len(data) < BLOCK:
            raise InvalidInput(
                f"the archive is cut off at byte {self.position}", hint="fetch it again, or make it anew"
            )
        return data

    def exactly(self, size: int) -> bytes:
        data = self._upto(size)
        if len(data) < size:
            raise InvalidInput(
                f"the archive is cut off at byte {self.position}", hint="fetch it again, or make it anew"
            )
        return data

    def small(self, header: Header) -> bytes:
        """The content of a header that says more about the next file."""
        bounded(header.size, "a header")
        content = self.exactly(header.size)
        self.skip(padding(header.size))
        return content

    def sparse_map(self, stored: int) -> tuple[Parts, int]:
        """The map before the content of a sparse file of format 1.0, and how many bytes it took."""
        text = b""
        count = None
        while count is None or text.count(b"\n") < 1 + 2 * count:
            bounded(len(text), "a sparse file's map")
            if len(text) >= stored:
                raise InvalidInput("a sparse file's map does not fit its content")
            text += self.block()
            if count is None and b"\n" in text:
                count = sparse.sparse_map_count(text)
                bounded(4 * count, "a sparse file's map")
        lines = text.split(b"\n")[1 : 1 + 2 * count]
        return sparse.sparse_map(b",".join(lines)), len(text)

    def content(self, parts: Iterator[tuple[int, int]]) -> Chunks:
        for start, length in parts:
            offset, left = start, length
            while left:
                data = self.exactly(min(left, _CHUNK))
                yield offset, data
                offset, left = offset + len(data), left - len(data)

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.exactly(min(size, _CHUNK)))

    def drain(self) -> None:
        """To the end of the stream: what vouches for it (a checksum, a digest) covers all of it."""
        while data := self._source.read(_CHUNK):
            self.position += len(data)

    def _upto(self, size: int) -> bytes:
        data = self._source.read(size)
        while 0 < len(data) < size and (more := self._source.read(size - len(data))):
            data += more
        self.position += len(data)
        return data
