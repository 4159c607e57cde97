"""Scripts with gaps: machines that boot the same get the same script but for their marks.

A stencil is cut from the script of a sample that no machine is like, and filled with the marks of whoever asks.  It
is cut twice, of two samples: a template that does anything with a mark but print it gives two stencils that differ,
and then none is used; nor is one for marks that a loader's language might have to quote or refuse.  So a stencil's
script is the rendered one, to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

from netboot.boot.quoting import plain
from netboot.errors import InvalidInput
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import is_client_name
from netboot.model.target import ImageTarget

_KEPT_MAX = 1024
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_MARKS = ("mac", "hostname", "machine_id", "reason")
# What else of a target a template may print.  The version goes by identity: the store keeps one for as long as it is.
_shared = attrgetter(*(each.name for each in fields(ImageTarget) if each.name not in (*_MARKS, "version")))
_SAMPLES: tuple[dict[str, Any], ...] = (
    {
        "mac": MacAddress(bytes.fromhex("06e9b1c3a5d7")),
        "hostname": "k7-first-sample-4w",
        "machine_id": "f3a91c5e7b2d48069d1e6c3a5b7f8024",
        "reason": "the reason of sample K7",
    },
    {
        "mac": MacAddress(bytes.fromhex("0a4c7e91b3f5")),
        "hostname": "x2-second-one-9z",
        "machine_id": "0d7b3e5f91a24c68b5f7092d4e6a8c13",
        "reason": "why sample X2 is what it is",
    },
)


class ScriptStencils:
    """Stencils by all that a script depends on but marks; in bounded memory, for any thread."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Version, str | None]] = {}

    def fill(self, target: ImageTarget, beside: tuple[Any, ...], render: Callable[[ImageTarget], str]) -> str | None:
        """The script that `render` would give for the target, or None when only rendering can tell.

        `beside` is what `render` depends on besides its target.
        """
        if not is_client_name(target.hostname) or not _MACHINE_ID.fullmatch(target.machine_id):
            return None
        version = target.version
        key = (id(version), *beside, *_shared(target))
        kept = self._kept.get(key)
        if kept is None or kept[0] is not version:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            kept = self._kept[key] = version, _cut(target, render)
        stencil = kept[1]
        return stencil % _values(target) if stencil is not None else None


def _values(target: ImageTarget) -> dict[str, str]:
    """The marks as scripts print them, each by the name of its gap."""
    return {
        "dashed": target.mac.dashed,
        "colons": str(target.mac),
        "hostname": target.hostname,
        "machine_id": target.machine_id,
        "reason": plain(target.reason),
    }


def _cut(target: ImageTarget, render: Callable[[ImageTarget], str]) -> str | None:
    """A format with gaps, None where two samples do not give the same."""
    try:
        first, second = (_gapped(render(sample), sample) for sample in (replace(target, **each) for each in _SAMPLES))
    except InvalidInput:
        return None  # rendering for the machine itself names the word
    return first if first == second else None


def _gapped(script: str, sample: ImageTarget) -> str:
    gapped = script.replace("%", "%%")
    for name, value in _values(sample).items():
        gapped = gapped.replace(value, f"%({name})s")
    return gapped
