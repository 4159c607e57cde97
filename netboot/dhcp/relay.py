"""What a relay tells us in option 82 (RFC 3046), and which network a packet is about.

The option is echoed byte for byte; here it is only read, and a truncated one is read as far as it goes.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from netboot.dhcp import options as opt
from netboot.dhcp.message import Message

_LINK_SELECTION, _SERVER_OVERRIDE, _SOURCE_PORT = 5, 11, 19


def relay_info(message: Message) -> dict[int, bytes]:
    return opt.read_suboptions(message.options.get(opt.RELAY_INFO.code, b""))


def server_override(message: Message) -> IPv4Address | None:
    """RFC 5107: the relay wants to be taken for the server, so that renewals pass through it too."""
    return opt.ADDRESS.read(relay_info(message).get(_SERVER_OVERRIDE, b"")) if _has(message) else None


def uses_source_port(message: Message) -> bool:
    """RFC 8357: the relay listens on the port that it sent from."""
    return _has(message) and _SOURCE_PORT in relay_info(message)


def link_address(message: Message) -> IPv4Address | None:
    """An address of the client's network: link selection (RFC 3527), else subnet selection (RFC 3011), else giaddr.

    None when the client is on the link that the packet came in from.
    """
    if _has(message) and (link := opt.ADDRESS.read(relay_info(message).get(_LINK_SELECTION, b""))):
        return link
    if selected := opt.SUBNET_SELECTION.read(message.options):
        return selected
    return message.giaddr if int(message.giaddr) else None


def _has(message: Message) -> bool:
    return opt.RELAY_INFO.code in message.options
