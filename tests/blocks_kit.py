"""Images in memory, for tests of what reads and writes them."""

from __future__ import annotations

from collections.abc import Iterator


class Memory:
    """A `blocks.Target` in memory.  Holes are runs of `unit` zero bytes; what was read and written is counted."""

    def __init__(self, content: bytes = b"", *, unit: int = 512) -> None:
        self.content = bytearray(content)
        self.unit = unit
        self.read_bytes = self.written_bytes = 0

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def read(self, offset: int, size: int) -> bytes:
        self.read_bytes += size
        return bytes(self.content[offset : offset + size]).ljust(size, b"\0")

    def data(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        stop = min(stop, len(self.content))
        while start < stop:
            end = min(start // self.unit * self.unit + self.unit, stop)
            if any(self.content[start:end]):
                yield start, end
            start = end

    def write(self, offset: int, data: bytes) -> None:
        self.written_bytes += len(data)
        self.content.extend(bytes(max(0, offset - len(self.content))))
        self.content[offset : offset + len(data)] = data

    def zero(self, offset: int, size: int) -> None:
        end = min(offset + size, len(self.content))
        self.content[offset:end] = bytes(max(0, end - offset))

    def resize(self, size_bytes: int) -> None:
        del self.content[size_bytes:]
        self.content.extend(bytes(size_bytes - len(self.content)))
