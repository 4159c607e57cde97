"""Where a reply goes: the table of RFC 2131 section 4.1, with INFORM, port 4011 and relays' own ports (RFC 8357)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from netboot.dhcp import relay
from netboot.dhcp.decision import BOOT_PORT, CLIENT_PORT, SERVER_PORT, Arrival
from netboot.dhcp.message import Message, MessageType
from netboot.model.mac import MacAddress

EVERYONE = IPv4Address("255.255.255.255")


class Destination(NamedTuple):
    """`hardware` is the client's MAC where a frame can go straight to it.

    `answers_arp` is false for a client that has no address yet: without its MAC only a broadcast reaches it.
    """

    address: IPv4Address
    port: int
    hardware: MacAddress | None = None
    answers_arp: bool = True


def destination(request: Message, reply: Message, arrival: Arrival) -> Destination:
    """Refuse nothing: every reply has one place to go.

    The broadcast is 255.255.255.255, never the subnet's own, which UEFI does not listen to.
    """
    if arrival.port == BOOT_PORT:
        return Destination(*arrival.source)
    if request.type is MessageType.INFORM and int(request.ciaddr):
        return Destination(request.ciaddr, CLIENT_PORT)
    if int(request.giaddr):
        return Destination(request.giaddr, arrival.source[1] if relay.uses_source_port(request) else SERVER_PORT)
    if reply.type is MessageType.NAK:
        return Destination(EVERYONE, CLIENT_PORT)
    if int(request.ciaddr):
        return Destination(request.ciaddr, CLIENT_PORT)
    if request.type is MessageType.INFORM and int(arrival.source[0]):
        return Destination(arrival.source[0], CLIENT_PORT)
    if reply.broadcast or not int(reply.yiaddr):
        return Destination(EVERYONE, CLIENT_PORT)
    return Destination(reply.yiaddr, CLIENT_PORT, reply.mac, answers_arp=False)
