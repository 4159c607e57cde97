"""Whether a password has this hash: libcrypt, as the system's login asks it, crypt(3).

Python's own module for it is going away; the library is there wherever people log in.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache


def is_hash_of(password: str, hash: str) -> bool:
    """False too where the library is missing, or does not know this kind of hash."""
    library = _library()
    if library is None or "\0" in hash:
        return False
    made = library.crypt(password.encode(), hash.encode(errors="replace"))
    return made is not None and made.decode(errors="replace") == hash


@cache
def _library() -> ctypes.CDLL | None:
    for name in ("libcrypt.so.1", "libcrypt.so.2"):  # Debian's, and that of systems without the oldest functions
        with suppress(OSError):
            library = ctypes.CDLL(name)
            library.crypt.restype = ctypes.c_char_p
            library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
            return library
    return None
