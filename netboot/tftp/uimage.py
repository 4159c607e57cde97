"""A script in the envelope that U-Boot wants for it, the "legacy image" (U-Boot include/image.h).

64 bytes of header, everything big-endian: magic, checksum of the header with this field 0, time, size, load address,
entry point, checksum of the content, four bytes for system, architecture, kind and compression, 32 bytes for a name.  A
script's content is a list of sizes that ends with 0, and then the script.
"""

from __future__ import annotations

import struct
import zlib

_HEADER = struct.Struct(">7I4B32s")
_MAGIC = 0x27051956
_LINUX, _ARM64, _SCRIPT, _PLAIN = 5, 22, 6, 0


def script_image(script: bytes, name: str) -> bytes:
    """The image of a script.  U-Boot does not look at the architecture of one."""
    content = struct.pack(">2I", len(script), 0) + script
    unsigned = _header(0, content, name)
    return _header(zlib.crc32(unsigned), content, name) + content


def _header(checksum: int, content: bytes, name: str) -> bytes:
    """Without a time, so that the same script is the same image."""
    return _HEADER.pack(
        _MAGIC,
        checksum,
        0,
        len(content),
        0,
        0,
        zlib.crc32(content),
        *(_LINUX, _ARM64, _SCRIPT, _PLAIN),
        name.encode()[:32],
    )
