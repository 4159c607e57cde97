"""What we write, read by scapy; what scapy writes, read by us; and our checksums against scapy's."""

from __future__ import annotations

import warnings
from ipaddress import IPv4Address

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.frame import udp_packet
from netboot.dhcp.message import Message, MessageType, decode, encode
from tests.captures.scapy_kit import BOOTP, DHCP, rebuilt, scapy_fields, scapy_ip, scapy_options
from tests.dhcp_kit import BIOS, IPXE, LAB, SERVER, UEFI, UEFI_HTTP, Raw, discover, make_policy, reply, selecting


@pytest.mark.parametrize("mode", [DhcpMode.OWN, DhcpMode.PROXY])
@pytest.mark.parametrize("asker", [BIOS, UEFI, UEFI_HTTP, IPXE])
def test_scapy_reads_our_offers(asker: Raw, mode: DhcpMode) -> None:
    offer = reply(discover(asker, flags=0x8000), make_policy(LAB, mode=mode))
    payload = encode(offer)
    fields, options = scapy_fields(payload), scapy_options(payload)
    assert (fields["op"], fields["xid"], fields["yiaddr"]) == (2, 0x1234, str(offer.yiaddr))
    assert options["message-type"] == 2
    assert options["server_id"] == "10.9.0.1"
    assert options["vendor_class_id"] == offer.options[60]
    assert options["boot-file-name"] == offer.options[67]
    bootp = BOOTP(payload)
    assert bootp.file.rstrip(b"\0") == offer.file
    assert bootp.siaddr == "10.9.0.1"
    if mode is DhcpMode.OWN:
        assert options["lease_time"] == 3600
        assert options["subnet_mask"] == "255.255.255.0"
        assert options["router"] == "10.9.0.254"


def test_we_read_what_scapy_writes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packet = BOOTP(op=1, xid=77, chaddr=bytes.fromhex("525400000001"), flags="B", giaddr="10.9.0.2") / DHCP(
            options=[("message-type", "request"), ("server_id", "10.9.0.1"), ("requested_addr", "10.9.0.105"), "end"]
        )
        message = decode(bytes(packet))
    assert (message.type, message.xid, message.broadcast) == (MessageType.REQUEST, 77, True)
    ack = reply(message, make_policy(LAB))
    assert (ack.type, str(ack.yiaddr), str(ack.giaddr)) == (MessageType.ACK, "10.9.0.105", "10.9.0.2")


@pytest.mark.parametrize("options", [{53: b"\2"}, {53: b"\2", 224: bytes(range(256)) * 3}, {53: b"\2", 12: b"odd"}])
def test_scapy_agrees_with_our_checksums(options: Raw) -> None:
    payload = encode(Message(op=2, options=options)) + b"\x01" * (len(options) % 2)
    packet = udp_packet(payload, (SERVER, 67), (IPv4Address("10.9.0.100"), 68))
    assert rebuilt(packet) == packet
    parsed = scapy_ip(packet)
    assert (parsed.src, parsed.dst, parsed.sport, parsed.dport, parsed.len) == (
        "10.9.0.1",
        "10.9.0.100",
        67,
        68,
        len(packet),
    )


def test_scapy_reads_an_ack_as_we_mean_it() -> None:
    policy = make_policy(LAB)
    ack = reply(selecting("10.9.0.105", UEFI, more={82: b"\x01\x04eth7"}, giaddr=IPv4Address("10.9.0.2")), policy)
    options = scapy_options(encode(ack))
    assert options["message-type"] == 5
    assert (options["renewal_time"], options["rebinding_time"]) == (1800, 3150)
    assert list(options)[-1] in ("relay_agent_information", 82)
