"""What tells a packet from those of other machines of the same make: its marks.  All else is the packet's kind.

Marks are the header's xid, secs and chaddr (but for the maker's block of MAC addresses), and the values of options
12 (hostname), 50 (requested address), 61 (client identifier) and 97 (machine identifier).  The header's sname and file
say nothing unless option 52 moves options there, and such a packet has no layout.  Two packets of one layout whose
rests are equal are of one kind: they hold the same options at the same places, and but for the marks the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from netboot.dhcp import options as opt
from netboot.dhcp.area import option_spans
from netboot.dhcp.message import OPTIONS_AT, OVERLOAD

XID, CHADDR, MAC = slice(4, 8), slice(28, 44), slice(28, 34)
_SNAME_AND_FILE_END = 236
MARKS = frozenset((opt.HOSTNAME.code, opt.REQUESTED_ADDRESS.code, opt.CLIENT_ID.code, opt.MACHINE_ID.code))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the marks among the options stand in a packet; `rest` gives all that is no mark."""

    marks: Mapping[int, slice]
    rest: Callable[[bytes], Any]


def layout_of(payload: bytes) -> Layout | None:
    """The layout of a DHCP message; None for one that has an option twice, or options in sname and file."""
    spans = option_spans(payload, OPTIONS_AT)
    codes = [code for code, _, _ in spans]
    if len(codes) != len(set(codes)) or OVERLOAD in codes:
        return None
    marks = {code: slice(start, end) for code, start, end in spans if code in MARKS}
    edges = [_SNAME_AND_FILE_END, *(edge for mark in marks.values() for edge in (mark.start, mark.stop)), None]
    between = [slice(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    header = (slice(XID.start), slice(XID.stop + 2, CHADDR.start + 3))  # without secs, with the maker's block
    return Layout(marks, itemgetter(*header, *between))
