"""A hardware address, parsed once at the edge and never wrong later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from netboot.errors import InvalidInput

_FORMS = re.compile(
    r"""(?:[0-9a-f]{2}(?P<sep>[:-])(?:[0-9a-f]{2}(?P=sep)){4}[0-9a-f]{2}   # 52:54:00:12:34:56, 52-54-...
        |[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}                              # 5254.0012.3456
        |[0-9a-f]{12})""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, order=True)
class MacAddress:
    """A unicast 48-bit address; `octets` has length 6."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != 6:
            raise InvalidInput(f"a MAC address has 6 octets, not {len(self.octets)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read any of the four usual spellings; refuse group addresses and all zeros, which no client has."""
        lowered = text.strip().lower()
        if not _FORMS.fullmatch(lowered):
            raise InvalidInput(
                f"{text!r} is not a MAC address",
                hint="write six pairs of hex digits, as 52:54:00:12:34:56",
            )
        octets = bytes.fromhex(re.sub(r"[:.-]", "", lowered))
        if octets[0] & 1:
            raise InvalidInput(
                f"{text!r} is a group address, which no single client has",
                hint="take the address printed on the network card, whose second digit is even",
            )
        if not any(octets):
            raise InvalidInput(f"{text!r} is all zeros, which no client has")
        return cls(octets)

    def __str__(self) -> str:
        return self.octets.hex(":")

    @property
    def dashed(self) -> str:
        """The form in URLs and file names: 52-54-00-12-34-56."""
        return self.octets.hex("-")

    @property
    def bootif(self) -> str:
        """The value of the kernel's BOOTIF=: hardware type 1, then the address, with dashes."""
        return f"01-{self.dashed}"
