"""What client and server agree on before the first block: the option negotiation of RFC 2347, 2348, 2349 and 7440.

Pure.  An answer never goes beyond what was asked, and an option that makes no sense is left out of the answer
rather than refused: RFC 2347 lets the client decide whether it can go on without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BLKSIZE = 512
"""RFC 1350: the block size when none is negotiated."""

_BLKSIZES = range(8, 65464 + 1)
_TIMEOUTS = range(1, 255 + 1)
_WINDOWS = range(1, 65535 + 1)

# The largest IPv4 header's 20 bytes with room for a tag or tunnel, UDP's 8 and TFTP's 4: what dnsmasq keeps free too.
_OVERHEAD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one transfer.  `oack` are the accepted options, in the client's order; empty means no OACK.

    `timeout_s` is the retransmission interval the client demanded, None when the timer is ours to choose.
    """

    blksize: int = BLKSIZE
    window: int = 1
    timeout_s: int | None = None
    oack: tuple[tuple[bytes, bytes], ...] = ()


def negotiate(
    options: Mapping[bytes, bytes], *, size: int | None, mtu: int, max_blksize: int = 65464, max_window: int = 64
) -> Terms:
    """The terms for these options.  `size` is None when it is not known before the end; `mtu` is the path's."""
    accepted: dict[bytes, int] = {}
    if (asked := _number(options.get(b"blksize"), _BLKSIZES)) is not None:
        accepted[b"blksize"] = max(_BLKSIZES[0], min(asked, mtu - _OVERHEAD, max_blksize))
    if (asked := _number(options.get(b"windowsize"), _WINDOWS)) is not None:
        accepted[b"windowsize"] = min(asked, max_window)
    if (asked := _number(options.get(b"timeout"), _TIMEOUTS)) is not None:
        accepted[b"timeout"] = asked
    if size is not None and _number(options.get(b"tsize"), range(1 << 63)) is not None:
        accepted[b"tsize"] = size
    return Terms(
        blksize=accepted.get(b"blksize", BLKSIZE),
        window=accepted.get(b"windowsize", 1),
        timeout_s=accepted.get(b"timeout"),
        oack=tuple((name, b"%d" % accepted[name]) for name in options if name in accepted),
    )


def _number(value: bytes | None, allowed: range) -> int | None:
    """A plain decimal inside the range.  Twenty digits hold any 64-bit number and bound the work."""
    if value is None or not value.isdigit() or len(value) > 20:
        return None
    number = int(value)
    return number if number in allowed else None
