"""Numbers and texts in a tar header's fields, and the padding of what follows it."""

from __future__ import annotations

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import show

BLOCK = 512
# What one file may say about itself: a capability and an ACL are some hundred bytes, SELinux less, a sparse file's map
# of a disk image may be long.
HEADER_LIMIT = 1 << 20


def bounded(size: int, what: str) -> int:
    if size > HEADER_LIMIT:
        raise InvalidInput(f"{what} has more than {HEADER_LIMIT} bytes, which no file needs")
    return size


def padding(size: int) -> int:
    """Bytes from the end of content to the next block."""
    return -size % BLOCK


def text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not all(48 <= each < 56 for each in digits):
        raise InvalidInput("a header holds something that is not a number")
    return int(digits or b"0", 8)


def number(field: bytes, *, signed: bool = False) -> int:
    """Octal, or in base 256 with the highest bit set (GNU), there also below zero."""
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        value -= 1 << 8 * (len(field) - 1) if field[0] == 0xFF else 0
        if value < 0 and not signed:
            raise InvalidInput("a header holds a size or id below zero")
        return value
    return octal(field)


def decimal(digits: bytes, what: str) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise InvalidInput(f"{what} holds {show(digits)}, which is not a number")
    return int(digits)
