"""Option 43 of class PXEClient: what each strategy tells firmware in it (PXE 2.1 table 2-1).

Sub-options 1 to 5 are MTFTP's: EDK2 drops a packet that has them all, and nothing here writes any.  A menu's first
entry is what boots when nobody presses a key; a limit of 0 seconds has it boot at once (rule 2.26).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address

from netboot.boot.strategies import choose_strategy, may_learn
from netboot.dhcp import options as opt
from netboot.dhcp.decision import Query
from netboot.model.event import Detail
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Strategy

CONTROL, SERVERS, MENU, PROMPT, BOOT_ITEM = 6, 8, 9, 10, 71

# Bits of CONTROL (rule 2.9): no broadcast, no multicast, only the listed servers; boot the named file without asking.
_NO_BROADCAST, _NO_MULTICAST, _LISTED_ALONE, _USE_FILE = 1, 2, 4, 8

# Our boot server's type, of the range for vendors; type 0 is the machine's own disk.
OUR_TYPE, LOCAL_TYPE = 0x8000, 0
_OUR_ITEM, _LOCAL_ITEM = (OUR_TYPE, b"netboot"), (LOCAL_TYPE, b"local disk")

# What a Raspberry Pi's ROM looks for; the first of its kind wants the blanks (rule 2.31).
_PI_ITEM, _PI_LATE_ITEM = (0, b"Raspberry Pi Boot"), (0, b"Raspberry Pi Boot   ")
_AT_ONCE = 0

# The ROM of a Raspberry Pi 3 is not ready for an offer that comes at once (rule 2.30).
_DELAYS_S: Mapping[Strategy, float] = {Strategy.PI_LATE: 1.0}

_Item = tuple[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How the machine that asks is told what to boot, and what its make is; `pinned` by an admin for it alone."""

    strategy: Strategy
    fingerprint: Fingerprint
    pinned: bool

    @property
    def delay_s(self) -> float:
        return _DELAYS_S.get(self.strategy, 0.0)

    @property
    def details(self) -> dict[str, Detail]:
        """For the event of an offer."""
        said: dict[str, Detail] = {"strategy": self.strategy.value, "fingerprint": str(self.fingerprint)}
        return {**said, "pinned": 1} if self.pinned else said


def telling_of(query: Query) -> Telling | None:
    """The strategy for who asks; None where there is one way alone: loaders, iPXE, HTTP boot, U-Boot."""
    asker, client, policy = query.asker, query.client, query.policy
    if asker is None or not may_learn(asker):
        return None
    vendor_class = opt.VENDOR_CLASS.read(query.message.options) or b""
    fingerprint = _fingerprint(asker.firmware, int(asker.arch), query.mac.octets[:3], vendor_class)
    return Telling(
        strategy=choose_strategy(policy.mode, fingerprint, client, policy.strategies),
        fingerprint=fingerprint,
        pinned=client is not None and client.strategy is not None,
    )


@lru_cache(maxsize=4096)
def vendor_field(strategy: Strategy, firmware: Firmware, server: IPv4Address) -> bytes | None:
    """Option 43, None for a strategy that does without it."""
    match strategy:
        case Strategy.DIRECT:
            return _write({CONTROL: bytes((_USE_FILE,))})
        case Strategy.DISCOVERY:
            # UEFI with a menu of one item may skip it, and what comes after it (rule 2.50).
            items = (_OUR_ITEM, _LOCAL_ITEM) if firmware is Firmware.UEFI else (_OUR_ITEM,)
            return _write(
                {
                    CONTROL: bytes((_NO_BROADCAST | _NO_MULTICAST | _LISTED_ALONE,)),
                    SERVERS: OUR_TYPE.to_bytes(2, "big") + b"\x01" + server.packed,
                    MENU: _menu(*items),
                    PROMPT: bytes((_AT_ONCE,)) + _OUR_ITEM[1],
                }
            )
        case Strategy.PI | Strategy.PI_LATE:
            item = _PI_ITEM if strategy is Strategy.PI else _PI_LATE_ITEM
            return _write(
                {
                    CONTROL: bytes((_NO_BROADCAST | _NO_MULTICAST,)),
                    PROMPT: bytes((_AT_ONCE,)) + b"PXE",
                    MENU: _menu(item),
                }
            )
        case Strategy.INVITE | Strategy.PLAIN:
            return None


def item_field(item: bytes) -> bytes:
    """Option 43 of the answer to a request for a boot item."""
    return _write({BOOT_ITEM: item})


def _menu(*items: _Item) -> bytes:
    return b"".join(kind.to_bytes(2, "big") + bytes((len(text),)) + text for kind, text in items)


def _write(entries: Mapping[int, bytes]) -> bytes:
    return opt.write_suboptions(entries, end=b"\xff")


@lru_cache(maxsize=4096)
def _fingerprint(firmware: Firmware, arch: int, oui: bytes, vendor_class: bytes) -> Fingerprint:
    return Fingerprint.of(firmware, arch, oui, vendor_class)
