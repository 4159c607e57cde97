"""The folder of captures, NETBOOT_CAPTURES or `shared/captures` beside the checkout, as datagrams.

Frames and pcap files are taken apart by scapy, so that what our codecs are asked is not what our own code cut out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.captures.scapy_kit import IP, UDP, Ether, IPv6, PcapReader
from tests.kit import cannot_run

DHCP_PORTS = {67, 68, 4011}
DHCP6_PORTS = {546, 547}
_FROM_CLIENT, _FROM_CLIENT_6 = (68, 67), (546, 547)

_IP_FOLLOWS = b"\x08\x00"
# How a frame of Linux's "any" device begins: an outgoing one, of an Ethernet card.
_COOKED, _COOKED_HEADER_BYTES = b"\0\x04\0\x01", 16


def captures_folder() -> Path:
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "captures"
    return Path(os.environ.get("NETBOOT_CAPTURES", beside))


@pytest.fixture(scope="session")
def captures() -> Path:
    """Skips where the captures are not there; on a build machine that is a failure."""
    folder = captures_folder()
    if not folder.is_dir():
        cannot_run(f"no captures in {folder}; set NETBOOT_CAPTURES to their folder")
    return folder


@dataclass(frozen=True)
class Datagram:
    """A UDP payload with its ports.  Files without ports hold what a client sends to a server."""

    sport: int
    dport: int
    payload: bytes

    @property
    def is_dhcp(self) -> bool:
        return bool({self.sport, self.dport} & DHCP_PORTS)

    @property
    def is_dhcp6(self) -> bool:
        return bool({self.sport, self.dport} & DHCP6_PORTS)


def names(captures: Path) -> list[str]:
    """Every file of the folder but its index."""
    files = (each.relative_to(captures) for each in captures.rglob("*") if each.is_file())
    return sorted(str(each) for each in files if str(each) != "index.md")


@cache
def datagrams(file: Path) -> tuple[Datagram, ...]:
    """What a file holds, in its order; what is no IP packet with UDP in it is left out."""
    ports = _FROM_CLIENT_6 if _speaks_version_6(file) else _FROM_CLIENT
    if ".pcap" in file.name:
        return tuple(_of_capture(file))
    if file.parent.parent.name == "systemd":
        return (Datagram(*ports, file.read_bytes()),)
    octets = bytes.fromhex(file.read_text(encoding="ascii").strip())
    if file.name.endswith(".eth.hex"):
        return (_of_packet(Ether(octets)),)
    if octets.startswith(_COOKED):
        return tuple(_of_frame(octets[_COOKED_HEADER_BYTES:]))
    if file.suffix == ".pkt4":
        octets = octets[1:]  # the last byte of the UDP checksum went astray into this file
    return (Datagram(*ports, octets),)


def payloads(file: Path) -> list[bytes]:
    """The DHCP payloads of a file."""
    return [each.payload for each in datagrams(file) if each.is_dhcp]


def _speaks_version_6(file: Path) -> bool:
    return any(mark in str(file) for mark in ("_v6_", ".pkt6", "fuzz-dhcp6-client", "request6", "solicit"))


def _of_capture(file: Path) -> Iterator[Datagram]:
    with PcapReader(str(file)) as reader:
        for packet in reader:
            if packet.haslayer(UDP):
                yield _of_packet(packet)
            elif packet.name == "Raw":
                # Token Ring and nonsense, which scapy does not take apart.
                yield from _of_frame(bytes(packet).partition(_IP_FOLLOWS)[2])


def _of_frame(packet: bytes) -> Iterator[Datagram]:
    """The datagram of an IP packet, if there is one."""
    if packet:
        parsed = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
        if parsed.haslayer(UDP):
            yield _of_packet(parsed)


def _of_packet(packet: Any) -> Datagram:
    udp = packet[UDP]
    payload = bytes(udp.payload)
    # What follows the datagram in its frame is Ethernet's padding; a length that lies is not believed.
    length = (udp.len or 0) - 8
    return Datagram(udp.sport, udp.dport, payload[:length] if 0 <= length <= len(payload) else payload)
