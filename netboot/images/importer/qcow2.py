"""The header of a qcow2 disk, looked at before QEMU opens it (QEMU's docs/interop/qcow2.txt).

Such a disk can name other files for QEMU to open as its parts: one that came from a stranger could name ours, and their
content would become part of an image that every client reads.
"""

from __future__ import annotations

from netboot.errors import InvalidInput

HEADER_BYTES = 104

_EXTERNAL_DATA = 1 << 2
_FLATTEN = "make one whole disk of it, where it comes from: qemu-img convert -O qcow2 SOURCE WHOLE.qcow2"


def virtual_size(header: bytes) -> int:
    """How large the disk is; `InvalidInput` if it is not whole in itself."""
    version = int.from_bytes(header[4:8], "big")
    if header[:4] != b"QFI\xfb" or len(header) < HEADER_BYTES or version not in (2, 3):
        raise InvalidInput("the qcow2 disk is broken: its header is none")
    if int.from_bytes(header[8:16], "big"):
        raise InvalidInput("the qcow2 disk is only the changes to another file", hint=_FLATTEN)
    if int.from_bytes(header[32:36], "big"):
        raise InvalidInput("the qcow2 disk is encrypted", hint=_FLATTEN)
    if version == 3 and int.from_bytes(header[72:80], "big") & _EXTERNAL_DATA:
        raise InvalidInput("the qcow2 disk keeps its data in another file", hint=_FLATTEN)
    return int.from_bytes(header[24:32], "big")
