"""Sizes as people write them: 1500M."""

from __future__ import annotations

import re

from netboot.errors import InvalidInput

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes; a number and a binary unit."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([KMGT])", text)
    if not match:
        raise InvalidInput(f"{text!r} is no size", hint="write a number and K, M, G or T, as 1500M")
    return int(match.group(1)) * _UNITS[match.group(2)]
