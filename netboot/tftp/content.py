"""What a TFTP name stands for: the contract between the server and whoever knows names.

A `FileSource` is asked once for each request, before anything is promised to the client, since pxelinux hangs
when an error follows an OACK.  The descriptor it hands over is the file for the whole transfer: replacing the
path meanwhile changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Protocol

from netboot.errors import InvalidInput, Unavailable
from netboot.model.event import Detail, EventKind
from netboot.model.mac import MacAddress
from netboot.tftp.packet import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a complete transfer tells about a boot: the event it is worth, and whose it is when the name says so."""

    kind: EventKind
    mac: MacAddress | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFile:
    """What is sent: bytes, or an open descriptor that now belongs to the server.  `size` is in bytes."""

    content: bytes | int
    size: int
    meaning: Meaning | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such file, or it may not be read.  `reason` travels to the client: ASCII, no paths of ours."""

    reason: str = "File not found"
    code: ErrorCode = ErrorCode.NOT_FOUND


class FileSource(Protocol):
    """Called on the server's thread: it must be quick, since every transfer waits for it."""

    def open(self, name: bytes, peer: IPv4Address) -> BootFile | Missing: ...


class Content:
    """A file being served, shared by all transfers of it.  `key` is equal for equal content."""

    __slots__ = ("_source", "key", "size", "users")

    def __init__(self, source: bytes | int, size: int) -> None:
        self._source = source
        self.size = size
        self.users = 0
        self.key: Hashable = source if isinstance(source, bytes) else _identity(source)

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`, fewer only at the end.  Raises `Unavailable` when the file has shrunk."""
        if isinstance(self._source, bytes):
            return self._source[offset : offset + count]
        wanted = min(count, self.size - offset)
        piece = os.pread(self._source, wanted, offset)
        if len(piece) != wanted:
            raise Unavailable("the file became shorter while it was sent")
        return piece

    def close(self) -> None:
        if isinstance(self._source, int):
            os.close(self._source)


class OpenFiles:
    """The files being served: a thousand clients of one loader hold one descriptor."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Content] = {}

    def share(self, file: BootFile) -> Content:
        """The content of `file`, counted once more; a second descriptor of the same file is closed."""
        fresh = Content(file.content, file.size)
        content = self._open.setdefault(fresh.key, fresh)
        if content is not fresh:
            fresh.close()
        content.users += 1
        return content

    def release(self, content: Content) -> None:
        content.users -= 1
        if content.users == 0:
            del self._open[content.key]
            content.close()

    def __len__(self) -> int:
        return len(self._open)


# Netascii is for texts; a conversion happens in memory, so it is bounded.
NETASCII_MAX_BYTES = 4 * 1024 * 1024


def as_netascii(file: BootFile) -> BootFile:
    """The file as RFC 764 writes it: line feeds become CR LF, carriage returns CR NUL.

    Takes over the descriptor.  Raises `InvalidInput` for a file too large to convert.
    """
    content = Content(file.content, file.size)
    try:
        if file.size > NETASCII_MAX_BYTES:
            raise InvalidInput("too large for netascii, use octet mode")
        text = content.read(0, file.size).replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
    finally:
        content.close()
    return BootFile(content=text, size=len(text), meaning=file.meaning)


def _identity(descriptor: int) -> Hashable:
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
