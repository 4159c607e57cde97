"""Which kernel of a system is booted when it has several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from netboot.errors import NetbootError
from netboot.images.publish import kernels


def newest_kernel(tree: Path) -> str:
    """The version of the newest kernel in /boot: an upgrade leaves its forerunners beside it."""
    if newest := newest_of(kernels(tree)):
        return newest
    raise NetbootError("the system has no kernel in /boot", hint="install one, as linux-image-amd64 of Debian")


def newest_of(versions: Iterable[str]) -> str | None:
    """The greatest of versions as people count: 6.1.0-10 comes after 6.1.0-9."""
    return max(versions, key=_natural, default=None)


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)
