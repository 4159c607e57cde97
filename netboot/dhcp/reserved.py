"""The addresses of one network that the configuration reserves for whoever says the right thing in a packet.

A MAC address is what a machine keeps from its firmware to its running system; the identifier that an admin wrote down
is mostly sent by its system alone.  So a machine that once had its address by its identifier gets it by its MAC in
the stages that do not say so: the lease remembers the identifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from netboot.config import Reservation
from netboot.dhcp import options as opt
from netboot.dhcp import relay
from netboot.dhcp.message import Message
from netboot.model.lease import Lease

# Option 82's sub-options that say where a client is plugged in: circuit, remote, subscriber (RFC 3046, RFC 3993).
_PORT = (1, 2, 6)

Port = tuple[bytes | None, ...]


class Reserved:
    """Tables made once; nothing is looked up where nothing is reserved."""

    def __init__(self, reservations: Iterable[Reservation] = ()) -> None:
        self._addresses: set[int] = set()
        self._by_identifier: dict[bytes, IPv4Address] = {}
        self._by_port: dict[Port, IPv4Address] = {}
        for each in reservations:
            self._addresses.add(int(each.address))
            if each.client_id is None:
                self._by_port[each.relay_port] = each.address
                continue
            self._by_identifier[each.client_id.octets] = each.address
            if each.client_id.is_text:  # some put the type 0 before it, "not a hardware address" (RFC 2132)
                self._by_identifier.setdefault(b"\0" + each.client_id.octets, each.address)
        # Which of circuit, remote and subscriber are asked for, those that ask for most first.
        shapes = {tuple(value is not None for value in port) for port in self._by_port}
        self._shapes = sorted(shapes, key=lambda shape: (-sum(shape), shape))

    def __bool__(self) -> bool:
        return bool(self._addresses)

    def __contains__(self, address: IPv4Address) -> bool:
        return bool(self._addresses) and int(address) in self._addresses

    def address_for(self, message: Message, last: Lease | None) -> IPv4Address | None:
        """The address reserved for who sent this; `last` is the latest lease of its MAC."""
        if not self._addresses:
            return None
        said = self._by_identifier.get(message.options.get(opt.CLIENT_ID.code, b""))
        return said or self._at_port(message) or self._remembered(last)

    def remembers(self, lease: Lease | None) -> bool:
        """Whether a lease was given for its identifier, which it must then keep."""
        return self._remembered(lease) is not None

    def _at_port(self, message: Message) -> IPv4Address | None:
        if not self._shapes or opt.RELAY_INFO.code not in message.options:
            return None
        info = relay.relay_info(message)
        said = tuple(info.get(code) for code in _PORT)
        for shape in self._shapes:
            key = tuple(value if matters else None for value, matters in zip(said, shape, strict=True))
            if address := self._by_port.get(key):
                return address
        return None

    def _remembered(self, last: Lease | None) -> IPv4Address | None:
        if last is None or last.client_id is None:
            return None
        return last.address if self._by_identifier.get(last.client_id) == last.address else None


NOTHING_RESERVED = Reserved()
