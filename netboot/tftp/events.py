"""What the server tells about its transfers, and what that means for the story of a boot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress
from netboot.tftp.content import Meaning


class TransferKind(StrEnum):
    """`probe`: the client took the size only.  `missing`: there was nothing by that name, or it may not be had."""

    FINISHED = "finished"
    FAILED = "failed"
    PROBE = "probe"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEvent:
    """One transfer or request that ended.  `name` is printable; `size` in bytes; `reason` is for people."""

    kind: TransferKind
    peer: IPv4Address
    name: str
    size: int = 0
    seconds: float = 0.0
    blksize: int = 0
    window: int = 0
    retransmits: int = 0
    reason: str = ""
    meaning: Meaning | None = None


def boot_event(
    transfer: TransferEvent, *, at: float, owner_of: Callable[[IPv4Address], MacAddress | None]
) -> Event | None:
    """The step of a boot that this transfer was, None when it was none: probes and names that are not there.

    A name that tells its client's MAC address counts more than who holds the address now.
    """
    if transfer.meaning is None or transfer.kind not in (TransferKind.FINISHED, TransferKind.FAILED):
        return None
    finished = transfer.kind is TransferKind.FINISHED
    details: dict[str, Detail] = {
        "file": transfer.name,
        "bytes": transfer.size,
        "seconds": round(transfer.seconds, 3),
        "by": "tftp",
        **transfer.meaning.details,
    }
    if transfer.retransmits:
        details["retransmits"] = transfer.retransmits
    if not finished:
        details["reason"] = transfer.reason
    return Event(
        at=at,
        kind=transfer.meaning.kind if finished else EventKind.TRANSFER_FAILED,
        mac=transfer.meaning.mac or owner_of(transfer.peer),
        details=details,
    )
