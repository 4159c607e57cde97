"""Replies to one place put together, so that the kernel gets them in one call and carries them in one piece.

A relay gets the replies of all its clients, and those of machines of one make are equally long: with UDP_SEGMENT a
dozen of them take the way through the kernel once, and are cut into packets of their own at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from netboot.dhcp.packets import Outgoing

# The kernel's limits (UDP_MAX_SEGMENTS, and the length of an IP packet).
_MOST, _MOST_BYTES = 64, 65_000


def bundles(replies: Iterable[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """All replies in their order; those of one bundle have one place to go, one source and one length."""
    for (_, _, _, size), alike in groupby(replies, lambda each: (each.to, each.source, each.port, len(each.payload))):
        together = tuple(alike)
        most = min(_MOST, _MOST_BYTES // max(size, 1))
        for at in range(0, len(together), most):
            yield together[at : at + most]
