"""What a machine's screen shows: QEMU's picture of it as a value, whether that is a desktop, and as PNG.

QEMU writes PPM (P6): a line of text, width, height and depth, then three bytes a pixel.  PNG is from the standard
library's zlib alone, RFC 2083: eight bytes of signature, then chunks of length, name, content and CRC.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Self

from netboot.errors import InvalidInput

_HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")
_LARGEST = 64 << 20
_PNG = b"\x89PNG\r\n\x1a\n"

# Every so many pixels of a line, and every so many lines, are looked at: a tenth of a percent is enough for statistics.
_STEP = 5
# Firmware, boot loaders and text consoles have 16 colours, and a display manager's gradients some tens more; icons, a
# background picture and smoothed letters have hundreds.
_MOST_OF_TEXT = 150
# On a screen with a desktop no colour is nearly everywhere.
_MOST_OF_ONE = 0.97


@dataclass(frozen=True, slots=True)
class Screen:
    """`pixels` are red, green and blue, line by line from the top."""

    width: int
    height: int
    pixels: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From PPM; raises `InvalidInput` for anything else."""
        header = _HEADER.match(data)
        if not header:
            raise InvalidInput("it is no picture in PPM")
        width, height = int(header[1]), int(header[2])
        pixels = data[header.end() :]
        if not 0 < width * height * 3 == len(pixels) <= _LARGEST:
            raise InvalidInput(f"a picture of {width} x {height} pixels has not {len(pixels)} bytes")
        return cls(width, height, pixels)

    def colours(self) -> Counter[bytes]:
        """How often each colour is found, of pixels in a grid."""
        row = 3 * self.width
        return Counter(
            self.pixels[at : at + 3]
            for top in range(0, self.height, _STEP)
            for at in range(top * row, (top + 1) * row, 3 * _STEP)
        )

    def has_desktop(self) -> bool:
        """Whether this is drawn by more than a text console."""
        found = self.colours()
        return len(found) > _MOST_OF_TEXT and found.most_common(1)[0][1] < _MOST_OF_ONE * found.total()

    def png(self) -> bytes:
        row = 3 * self.width
        lines = b"".join(b"\0" + self.pixels[at : at + row] for at in range(0, len(self.pixels), row))
        # Eight bits each of red, green and blue; deflate, the usual filters, not interlaced.
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
        return _PNG + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
