"""scapy as an independent reader of packets; imported by tests alone."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about ciphers that scapy loads and we do not use
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.layers.tftp import TFTP
    from scapy.utils import PcapReader

__all__ = [
    "BOOTP",
    "DHCP",
    "IP",
    "TFTP",
    "UDP",
    "Ether",
    "IPv6",
    "PcapReader",
    "rebuilt",
    "scapy_fields",
    "scapy_ip",
    "scapy_options",
]


def scapy_fields(payload: bytes) -> dict[str, Any]:
    """Header fields as scapy reads them."""
    bootp = BOOTP(payload)
    return {name: bootp.getfieldval(name) for name in ("op", "xid", "flags", "secs", "hops", "yiaddr", "giaddr")}


def scapy_options(payload: bytes) -> dict[Any, Any]:
    """Options as scapy reads them, by scapy's names; of several with one name the last."""
    packet = BOOTP(payload)
    found = packet[DHCP].options if packet.haslayer(DHCP) else []
    return {each[0]: each[1] if len(each) == 2 else each[1:] for each in found if isinstance(each, tuple)}


def scapy_ip(packet: bytes) -> Any:
    """An IP packet with checksums as they came; `rebuilt` computes scapy's own."""
    return IP(packet)


def rebuilt(packet: bytes) -> bytes:
    """The same packet with scapy's checksums."""
    parsed = IP(packet)
    del parsed.chksum, parsed[UDP].chksum
    return bytes(parsed)
