"""How PXE firmware is told what to boot, and what machines of one make have in common.

Firmware reads one and the same standard in different ways: what one ROM boots at once makes another ask a boot server,
wait for a menu, or give up.  A strategy is one of those ways of telling; a fingerprint is what is known of a
machine's firmware from its packets, so that what one machine taught serves all of its make.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from netboot.errors import InvalidInput
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware

# A class that fits our own use of it; longer ones are somebody's experiment.
_LONGEST_CLASS = 64


class Strategy(StrEnum):
    """One way of telling firmware what to boot; docs/boot-flow.md says how each looks on the wire."""

    DIRECT = "direct"
    INVITE = "invite"
    DISCOVERY = "discovery"
    PLAIN = "plain"
    PI = "pi"
    PI_LATE = "pi-late"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Machines of one make: family of firmware, architecture, the maker's block of MAC addresses, vendor class.

    Not the list of options asked for: a REQUEST may leave it out, and the ACK has to follow its OFFER.
    """

    firmware: Firmware
    arch: int
    oui: str
    vendor_class: str

    @classmethod
    def of(cls, firmware: Firmware, arch: int, oui: bytes, vendor_class: bytes) -> Self:
        """What a packet tells.  A Raspberry Pi leaves its class out of some messages, so it counts for nothing."""
        said = b"" if firmware is Firmware.RASPBERRY_PI else vendor_class[:_LONGEST_CLASS]
        return cls(firmware, arch, oui.hex(":"), _readable(said))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`; `InvalidInput` for what never was a fingerprint."""
        try:
            firmware, arch, oui, vendor_class = text.split("/", 3)
            return cls(Firmware(firmware), int(arch), oui, vendor_class)
        except ValueError:
            raise InvalidInput(f"{text!r} is no fingerprint of firmware") from None

    def __str__(self) -> str:
        return f"{self.firmware}/{self.arch}/{self.oui}/{self.vendor_class}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How often the strategy has failed one machine lately."""

    mac: MacAddress
    times: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """The strategy for one make since `since`, and why; `worked_at` is None while no machine has booted by it.

    `proofs` are the machines that have, the last one last; `rounds` counts how often all strategies failed.
    """

    strategy: Strategy
    since: float
    reason: str
    worked_at: float | None = None
    proofs: tuple[MacAddress, ...] = ()
    failing: tuple[Failure, ...] = ()
    rounds: int = 0


def _readable(text: bytes) -> str:
    """ASCII that can be printed; the rest is a question mark each."""
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text)
