"""Packets below UDP that the kernel cannot make for us, as bytes.

A client without an address cannot answer ARP, so a reply to it goes as an IP packet of our own making straight to
its MAC; and an ARP probe (RFC 5227) asks whether anybody uses an address before its client takes it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_PROTOCOL_UDP, _ARP_REQUEST = 17, 1
_DONT_FRAGMENT, _TTL = 0x4000, 64
_FRAGMENT = 0x3FFF  # an offset, or more to come


@dataclass(frozen=True, slots=True)
class ArpSender:
    """Who said in ARP to have an address."""

    address: IPv4Address
    hardware: bytes


def udp_packet(payload: bytes, source: tuple[IPv4Address, int], destination: tuple[IPv4Address, int]) -> bytes:
    """An IPv4 packet with one UDP datagram, both checksums in place."""
    from_ip, to_ip = source[0].packed, destination[0].packed
    size = _UDP.size + len(payload)
    pseudo = from_ip + to_ip + struct.pack("!BBH", 0, _PROTOCOL_UDP, size)
    bare = _UDP.pack(source[1], destination[1], size, 0) + payload
    # A sum of zero is sent as all ones, since zero means "not computed" (RFC 768).
    udp = _UDP.pack(source[1], destination[1], size, checksum(pseudo + bare) or 0xFFFF) + payload
    header = _ip_header(_IP.size + size, from_ip, to_ip, 0)
    return _ip_header(_IP.size + size, from_ip, to_ip, checksum(header)) + udp


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071).

    Adding 16-bit words with end-around carry is counting modulo 65535, which long division does in one step.
    """
    number = int.from_bytes(data + b"\0" if len(data) % 2 else data, "big")
    return ~(number % 0xFFFF or (0xFFFF if number else 0)) & 0xFFFF


def arp_probe(hardware: bytes, address: IPv4Address) -> bytes:
    """Who has `address`?  Without a sender address, so that nobody's table learns a wrong one."""
    return _ARP.pack(1, 0x0800, 6, 4, _ARP_REQUEST, hardware, bytes(4), bytes(6), address.packed)


def udp_datagram(packet: bytes) -> tuple[IPv4Address, bytes] | None:
    """Who sent the datagram of an IPv4 packet, and what; None for all else, for fragments and for broken lengths."""
    if len(packet) < _IP.size or packet[0] >> 4 != 4 or packet[9] != _PROTOCOL_UDP:
        return None
    size = (packet[0] & 15) * 4
    if size < _IP.size or len(packet) < size + _UDP.size or int.from_bytes(packet[6:8], "big") & _FRAGMENT:
        return None
    length = _UDP.unpack_from(packet, size)[2]
    if not _UDP.size <= length <= len(packet) - size:
        return None
    return IPv4Address(packet[12:16]), packet[size + _UDP.size : size + length]


def arp_sender(packet: bytes) -> ArpSender | None:
    """The claim that an ARP packet makes; None for a probe and for what is not IPv4 over Ethernet."""
    if len(packet) < _ARP.size:
        return None
    htype, ptype, hlen, plen, _, hardware, address, _, _ = _ARP.unpack_from(packet)
    if (htype, ptype, hlen, plen) != (1, 0x0800, 6, 4) or not any(address):
        return None
    return ArpSender(IPv4Address(address), hardware)


def _ip_header(size: int, from_ip: bytes, to_ip: bytes, header_sum: int) -> bytes:
    return _IP.pack(0x45, 0, size, 0, _DONT_FRAGMENT, _TTL, _PROTOCOL_UDP, header_sum, from_ip, to_ip)
