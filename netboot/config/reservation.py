"""`[[reservation]]`: addresses fixed to what a packet says of itself, beside those fixed to a MAC address.

A client is known by its own identifier (option 61), or by the place that a relay says it is plugged into (option 82).
Identifiers are bytes; most are text.  Which of both a value is must be plain, or it would silently never match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Self

from netboot.config import values
from netboot.config.setting import REQUIRED, setting
from netboot.errors import InvalidInput

_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2})+)")
_PAIRS = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2})+")
_TEXT = "text:"
_LONGEST = 255  # what one option holds


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a client or a relay calls something: bytes, and whether they were given as text."""

    octets: bytes
    is_text: bool = True

    @classmethod
    def parse(cls, value: Any) -> Self:
        written = values.text(value)
        if _PAIRS.fullmatch(written):
            raise InvalidInput(
                "could be bytes or text",
                hint=f'write "0x{re.sub("[:-]", "", written)}" for the bytes, "{_TEXT}{written}" for the text',
            )
        match = _HEX.fullmatch(written)
        found = cls(bytes.fromhex(match[1]), is_text=False) if match else cls(written.removeprefix(_TEXT).encode())
        if not 1 <= len(found.octets) <= _LONGEST:
            raise InvalidInput(f"must have 1 to {_LONGEST} bytes")
        return found

    def __str__(self) -> str:
        if not self.is_text:
            return f"0x{self.octets.hex()}"
        text = self.octets.decode()
        needs_prefix = _PAIRS.fullmatch(text) or _HEX.fullmatch(text) or text.startswith(_TEXT)
        return f"{_TEXT}{text}" if needs_prefix else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """`[[reservation]]`: an address for whoever says this, in the subnet that holds it."""

    address: IPv4Address = setting(REQUIRED, values.address, "The address that is kept for the client.")
    client_id: Identifier | None = setting(
        None,
        Identifier.parse,
        'The client\'s own identifier, DHCP option 61: bytes as "0xff12", anything else is text.',
    )
    circuit_id: Identifier | None = setting(None, Identifier.parse, "The relay's port, option 82.1, in the same form.")
    remote_id: Identifier | None = setting(
        None, Identifier.parse, "What the relay calls itself or the client, option 82.2, in the same form."
    )
    subscriber_id: Identifier | None = setting(
        None, Identifier.parse, "The relay's name for the subscriber, option 82.6, in the same form."
    )

    def __post_init__(self) -> None:
        if (self.client_id is None) is not any(self.relay_port):
            raise InvalidInput(
                f"the reservation of {self.address} must say whose it is, in one way",
                hint="set client_id, or what the relay says: circuit_id, remote_id or subscriber_id, all of which "
                "must be true; for a MAC address: netboot client add MAC --address",
            )
        if self.client_id is not None and len(self.client_id.octets) < 2:
            raise InvalidInput("client_id must have at least two bytes: shorter ones are no identifiers")

    @property
    def relay_port(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """What must stand in option 82's sub-options 1, 2 and 6; None for what does not matter."""
        return _octets(self.circuit_id), _octets(self.remote_id), _octets(self.subscriber_id)

    @property
    def whose(self) -> str:
        """Who it is for, as the file says it."""
        names = ("client_id", "circuit_id", "remote_id", "subscriber_id")
        return ", ".join(f"{name} {value}" for name in names if (value := getattr(self, name)))


def _octets(identifier: Identifier | None) -> bytes | None:
    return identifier.octets if identifier else None


def check_twice(reservations: Iterable[Reservation], where: str) -> None:
    """Refuse two reservations of one address, and two for one client in the same subnet, which is `where`."""
    addresses: set[IPv4Address] = set()
    clients: dict[object, Reservation] = {}
    for each in reservations:
        if each.address in addresses:
            raise InvalidInput(f"{each.address} is reserved twice", hint="take one [[reservation]] away")
        addresses.add(each.address)
        who = (_octets(each.client_id), *each.relay_port)
        if other := clients.get(who):
            raise InvalidInput(
                f"{other.address} and {each.address} of {where} are both reserved for {each.whose}",
                hint="a client has one address in a subnet: take one [[reservation]] away",
            )
        clients[who] = each
