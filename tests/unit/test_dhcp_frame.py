from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from netboot.dhcp.frame import ArpSender, arp_probe, arp_sender, checksum, udp_packet

A, B = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.100")
HARDWARE = bytes.fromhex("525400000001")


def test_the_checksum_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # the RFC's sum is ddf2, and this is its complement
    assert checksum(b"\xff") == 0x00FF
    # An IP header with its checksum in place sums to zero.
    assert checksum(bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")) == 0


@pytest.mark.parametrize("payload", [b"", b"a", b"ab" * 150, b"\xff" * 301])
def test_both_sums_of_a_packet_come_out_as_zero(payload: bytes) -> None:
    packet = udp_packet(payload, (A, 67), (B, 68))
    header, datagram = packet[:20], packet[20:]
    assert checksum(header) == 0
    assert checksum(header[12:20] + struct.pack("!HH", 17, len(datagram)) + datagram) == 0
    assert struct.unpack("!HHH", datagram[:6]) == (67, 68, 8 + len(payload))
    assert int.from_bytes(header[2:4], "big") == len(packet)
    assert datagram[8:] == payload


def test_a_probe_names_no_sender_and_is_nobodys_claim() -> None:
    probe = arp_probe(HARDWARE, B)
    assert probe.hex() == "0001080006040001" + "525400000001" + "00000000" + "000000000000" + "0a090064"
    assert arp_sender(probe) is None


def test_a_reply_is_a_claim() -> None:
    packet = bytes.fromhex("0001080006040002" + "525400000002" + "0a090064" + "525400000001" + "0a090001")
    assert arp_sender(packet + bytes(18)) == ArpSender(B, bytes.fromhex("525400000002"))


@pytest.mark.parametrize("packet", [b"", bytes(27), bytes.fromhex("000608000604000252540000000200000000") + bytes(20)])
def test_what_is_no_arp_for_ethernet_and_ipv4_is_nobodys_claim(packet: bytes) -> None:
    assert arp_sender(packet) is None
