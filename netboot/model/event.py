"""Events: what happened, one value a step.  The store keeps them; everything that tells a story reads them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from netboot.model.mac import MacAddress

Detail = str | int | float


class EventKind(StrEnum):
    """The steps of a boot, in the order in which a boot takes them, then what else is worth telling.

    `disk-attached` is the last step of a machine that boots a disk with a loader of its own.
    """

    DISCOVERED = "discovered"
    OFFERED = "offered"
    ACKED = "acked"
    LOADER_SENT = "loader-sent"
    SCRIPT_OFFERED = "script-offered"
    SCRIPT_SENT = "script-sent"
    KERNEL_SENT = "kernel-sent"
    INITRD_SENT = "initrd-sent"
    INITRAMFS_STARTED = "initramfs-started"
    ROOT_MOUNTED = "root-mounted"
    UP = "up"
    DISK_ATTACHED = "disk-attached"

    ADDRESS_OFFERED = "address-offered"
    REQUESTED = "requested"
    DENIED = "denied"
    REFUSED = "refused"
    LOADER_FAILED = "loader-failed"
    LOADER_LOOPS = "loader-loops"
    STRATEGY_CHANGED = "strategy-changed"
    STRATEGY_PROVEN = "strategy-proven"
    DATA_SENT = "data-sent"
    DATA_REFUSED = "data-refused"
    TRANSFER_FAILED = "transfer-failed"
    ROOT_AWAITED = "root-awaited"
    ROOT_RETRIED = "root-retried"
    ROOT_FAILED = "root-failed"
    UPPER_FULL = "upper-full"
    DECLINED = "declined"
    RELEASED = "released"
    POOL_EXHAUSTED = "pool-exhausted"
    FOREIGN_BOOT_SERVER = "foreign-boot-server"
    FOREIGN_DHCP_SERVER = "foreign-dhcp-server"
    SERVER_STARTED = "server-started"
    SERVER_RELOADED = "server-reloaded"
    SERVER_STOPPED = "server-stopped"
    INTERFACE_SERVED = "interface-served"
    INTERFACE_LOST = "interface-lost"
    EVENTS_DROPPED = "events-dropped"


_NOTHING: Mapping[str, Detail] = MappingProxyType({})


class Event(NamedTuple):
    """One thing that happened at `at` (Unix seconds), to a client unless `mac` is None.

    `boot` groups the events of one boot and `id` orders all events; both are given by the store's recorder
    and are None before.  A tuple, as thousands a second are made.
    """

    at: float
    kind: EventKind
    mac: MacAddress | None = None
    details: Mapping[str, Detail] = _NOTHING
    boot: int | None = None
    id: int | None = None

    def placed(self, boot: int | None, id: int | None = None) -> Event:
        """The same event with its place in the story."""
        return Event(self.at, self.kind, self.mac, self.details, boot, id)
