"""Which of two versions of a package is the later one, by Debian's rules (Policy 5.6.12, deb-version(7)).

RPM's rules agree with them on all that distributions write: epoch, digits by value, `~` before everything.
"""

from __future__ import annotations

import re
from functools import total_ordering


@total_ordering
class PackageVersion:
    """A version that sorts among others."""

    def __init__(self, text: str) -> None:
        self._key = _key(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackageVersion) and self._key == other._key

    def __lt__(self, other: PackageVersion) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


_Part = tuple[tuple[int, ...], int]
# The end of a text stands between `~` and everything else.
_END = 0


def _key(text: str) -> tuple[int, tuple[_Part, ...], tuple[_Part, ...]]:
    epoch, _, rest = text.rpartition(":")
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        # A missing revision is the same as 0.
        upstream, revision = rest, "0"
    return (int(epoch) if epoch.isdecimal() else 0, _parts(upstream), _parts(revision))


def _parts(text: str) -> tuple[_Part, ...]:
    """Runs of what is no digit, each with the number behind it."""
    found = re.findall(r"([^0-9]*)([0-9]*)", text)
    return tuple(((*map(_order, words), _END), int(digits or 0)) for words, digits in found)


def _order(char: str) -> int:
    """`~` first, then the end of the text, then letters, then all else."""
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 0x110000
