"""Packets of real firmware, systems and servers, read by us and by scapy, and answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from netboot.config import DhcpMode
from netboot.dhcp import options as opt
from netboot.dhcp.answer import answer
from netboot.dhcp.decision import Reply
from netboot.dhcp.identify import NotBooting, identify
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.message import COOKIE, DecodeError, Message, MessageType, decode, encode
from netboot.dhcp.network import policy_for
from netboot.dhcp.pxe import vendor_field
from netboot.model.client import Client
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import Arch, BootRequest, Firmware, Stage
from netboot.model.strategy import Strategy
from tests.captures.files import datagrams, names, payloads
from tests.captures.scapy_kit import scapy_fields, scapy_options
from tests.dhcp_kit import BOOT_PORT, NOW, SUBNET, UNICAST, Shelf, arrival, make_policy, reply, serve_by

ELSEWHERE = replace(SUBNET, network=IPv4Network("192.168.0.0/24"), pool=(), router=None)


def read_hex(captures: Path, name: str) -> bytes:
    (datagram,) = datagrams(captures / "public-hex" / name)
    return datagram.payload


def asker(message: Message) -> BootRequest:
    assert message.mac is not None
    found = identify(message, message.mac)
    assert isinstance(found, BootRequest)
    return found


@pytest.mark.parametrize(
    ("name", "firmware", "arch"),
    [
        ("hp_bios_pxe_discover.hex", Firmware.BIOS, Arch.BIOS),
        ("bios_pxe_discover_smoltcp.hex", Firmware.BIOS, Arch.BIOS),
        ("hyperv_gen1_pxe_discover_hops2.hex", Firmware.BIOS, Arch.BIOS),
        ("nuc_uefi_discover_rebuilt.hex", Firmware.UEFI, Arch.X64_UEFI),
        ("uefi_x64_httpboot_discover.hex", Firmware.UEFI_HTTP, Arch.X64_HTTP),
        ("uboot_armv8_request.hex", Firmware.UBOOT, Arch.ARM64_UBOOT),
        ("rpi3_discover.hex", Firmware.RASPBERRY_PI, Arch.RASPBERRY_PI),
        ("rpi4_frame1_discover.eth.hex", Firmware.RASPBERRY_PI, Arch.RASPBERRY_PI),
        ("rpi4_frame3a_request.eth.hex", Firmware.RASPBERRY_PI, Arch.RASPBERRY_PI),
    ],
)
def test_firmware_is_recognised(captures: Path, name: str, firmware: Firmware, arch: Arch) -> None:
    request = asker(decode(read_hex(captures, name)))
    assert (request.firmware, request.arch, request.stage) == (firmware, arch, Stage.FIRMWARE)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("hp_bios_pxe_discover.hex", b"ipxe/undionly.kpxe"),
        ("bios_pxe_discover_smoltcp.hex", b"ipxe/undionly.kpxe"),
        ("hyperv_gen1_pxe_discover_hops2.hex", b"ipxe/undionly.kpxe"),
        ("nuc_uefi_discover_rebuilt.hex", b"ipxe/snponly.efi"),
        ("uefi_x64_httpboot_discover.hex", b"http://10.9.0.1:8080/loader/ipxe/snponly.efi"),
    ],
)
def test_firmware_gets_its_loader_in_both_modes(captures: Path, name: str, file: bytes) -> None:
    message = decode(read_hex(captures, name))
    for mode in (DhcpMode.OWN, DhcpMode.PROXY):
        decision = answer(message, arrival(), make_policy(mode=mode, unknown="image:debian"), NOW)
        assert isinstance(decision, Reply), decision.reason
        offer = decision.message
        assert (offer.file, offer.xid) == (file, message.xid)
        assert offer.options[97] == message.options[97]
        assert bool(int(offer.yiaddr)) is (mode is DhcpMode.OWN)


def test_the_placeholder_uuid_of_three_machines_does_not_join_them(captures: Path) -> None:
    names = ("bios_pxe_discover_smoltcp.hex", "uefi_x64_httpboot_discover.hex")
    messages = [decode(read_hex(captures, name)) for name in names]
    assert len({each.options[97] for each in messages}) == 1
    policy = make_policy(unknown="image:debian")
    assert len({reply(each, policy).yiaddr for each in messages}) == 2


def test_discovery_is_what_an_asrock_rom_was_seen_to_boot_by(captures: Path) -> None:
    """Rule 2.25: the offer that it took, its question on port 4011, and ours beside them."""
    asrock = captures / "public-pcap/netboot-nsec-asrock-bios-pxe.pcap"
    seen = [message for message in map(decode, payloads(asrock)) if message.type is not None]
    asked, theirs, question = seen[0], seen[1], seen[5]
    client = Client(mac=known(asked), name="asrock", image=VersionRef("debian"), strategy=Strategy.DISCOVERY)
    policy = make_policy(client, mode=DhcpMode.PROXY)
    ours = reply(asked, policy)
    took, told = (opt.read_suboptions(each.options[opt.VENDOR.code]) for each in (theirs, ours))
    assert list(took) == list(told) == [6, 8, 9, 10]
    assert [took[8][:3], took[9][:2], took[10][:1]] == [told[8][:3], told[9][:2], told[10][:1]]
    assert (theirs.siaddr, theirs.file, theirs.options[60]) == (ours.siaddr, ours.file, ours.options[60])
    assert told[8][3:] == policy.server.packed
    assert told[6] == b"\x07"  # theirs has 3, which leaves servers that are not listed a chance
    assert question.options[opt.VENDOR.code].hex() == "470480000000ff"
    ack = reply(question, policy, by=BOOT_PORT)
    assert (ack.options[opt.VENDOR.code], ack.file) == (question.options[opt.VENDOR.code], b"ipxe/undionly.kpxe")


def test_a_pi_is_offered_what_it_was_seen_to_boot_by(captures: Path) -> None:
    """Rule 2.31: dnsmasq's offer to a Raspberry Pi 4, whose option 43 ours has byte for byte."""
    theirs = decode(read_hex(captures, "rpi4_frame2b_proxy_offer.eth.hex"))
    assert vendor_field(Strategy.PI, Firmware.RASPBERRY_PI, IPv4Address("10.9.0.1")) == theirs.options[opt.VENDOR.code]


def known(message: Message) -> MacAddress:
    assert message.mac is not None
    return message.mac


def test_a_pad_before_the_message_type_is_read_over(captures: Path) -> None:
    message = decode(read_hex(captures, "networkmanager_rebind_request_leading_pad.hex"))
    assert message.type is MessageType.REQUEST
    assert message.mac is not None
    assert isinstance(identify(message, message.mac), NotBooting)
    decision = answer(message, arrival(), make_policy(), NOW)
    assert decision.reason == "192.168.0.33 is not within 10.9.0.0/24"
    assert (
        "another server's" in answer(message, arrival(), make_policy(subnet=ELSEWHERE, authoritative=False), NOW).reason
    )


def test_a_pi_that_sets_siaddr_and_a_uboot_that_sets_file_do_not_get_them_back(captures: Path) -> None:
    for name in ("rpi4_frame3a_request.eth.hex", "uboot_armv8_request.hex"):
        asked = decode(read_hex(captures, name))
        server = IPv4Address(asked.options[54])
        wanted = IPv4Address(asked.options[50])
        policy = make_policy(also_known_as=frozenset([server]))
        decision = answer(asked, arrival(), policy, NOW)
        assert isinstance(decision, Reply)  # a NAK: the address is another network's
        assert decision.message.type is MessageType.NAK
        assert str(wanted) in decision.reason
        assert (int(decision.message.siaddr), decision.message.file) == (0, b"")


def test_a_truncated_option_82_goes_back_as_it_came(captures: Path) -> None:
    for name in ("kea_v4_captureBadRelayedDiscover.hex", "kea_v4_captureRelayedDiscover.hex"):
        message = decode(read_hex(captures, name))
        here = make_policy(subnet=None)
        assert "no subnet" in answer(message, arrival(), here, NOW).reason
        policies = serve_by(Ledger(Shelf()), make_policy())
        assert policy_for(message, arrival(), policies) == message.giaddr  # in no subnet of ours


def test_servers_are_not_answered(captures: Path) -> None:
    for name in ("dnsmasq_offer_pxelinux_209_210.hex", "rpi4_frame2a_router_offer.eth.hex"):
        message = decode(read_hex(captures, name))
        assert message.type is MessageType.OFFER
        assert answer(message, arrival(), make_policy(), NOW).reason == "a reply, not a request"
    offer = decode(read_hex(captures, "dnsmasq_offer_pxelinux_209_210.hex"))
    assert {66, 209, 210} <= set(offer.options)


def every_payload(captures: Path) -> Iterator[tuple[str, bytes]]:
    """All DHCP payloads but the ten thousand of one flood, which are alike."""
    for name in names(captures):
        if not name.endswith(".gz"):
            yield from ((name, each) for each in payloads(captures / name))


def test_we_and_scapy_read_the_same(captures: Path) -> None:
    read = 0
    for name, payload in every_payload(captures):
        try:
            message = decode(payload)
        except DecodeError:
            continue
        theirs = scapy_fields(payload)
        ours = {key: getattr(message, key) for key in ("op", "xid", "flags", "secs", "hops", "yiaddr", "giaddr")}
        assert {key: str(value) for key, value in ours.items()} == {
            key: str(int(value) if key == "flags" else value) for key, value in theirs.items()
        }, name
        options = scapy_options(payload)
        if message.type is not None and isinstance(options.get("message-type"), int):
            assert options["message-type"] == message.type, name
        for label, code in (("requested_addr", 50), ("server_id", 54), ("subnet_mask", 1)):
            if isinstance(options.get(label), str) and len(message.options.get(code, b"")) == 4:
                assert options[label] == str(IPv4Address(message.options[code])), name
        read += 1
    assert read > 100


def test_nothing_that_was_ever_captured_breaks_an_answer(captures: Path) -> None:
    answered = 0
    policies = [make_policy(mode=mode, unknown="image:debian") for mode in (DhcpMode.OWN, DhcpMode.PROXY)]
    for _, payload in every_payload(captures):
        try:
            message = decode(payload)
        except DecodeError:
            continue
        for policy in policies:
            for by in (arrival(), UNICAST, arrival(port=4011)):
                decision = answer(message, by, policy, NOW)
                if isinstance(decision, Reply):
                    assert decode(encode(decision.message)).xid == message.xid
                    answered += 1
    assert answered > 50


def test_options_that_overflowed_into_the_header_are_read(captures: Path) -> None:
    folder = captures / "public-pcap"
    both = [decode(each) for each in payloads(folder / "suricata-verify-dhcp-option-52-overload-both.pcap")]
    assert both
    assert all(52 not in each.options and each.file == b"" and each.sname == b"" for each in both)
    assert MessageType.DISCOVER in {each.type for each in both}


def test_a_wrong_cookie_is_no_dhcp(captures: Path) -> None:
    found = payloads(captures / "public-pcap" / "zeek-dhcp_bad_cookie_option_retention.pcap")
    refused = 0
    for payload in found:
        try:
            decode(payload)
        except DecodeError as error:
            assert "cookie" in str(error)
            refused += 1
    assert refused > 0


def test_user_classes_and_lease_queries_of_real_clients(captures: Path) -> None:
    folder = captures / "public-pcap"
    classes = [decode(each) for each in payloads(folder / "tcpdump-dhcp-rfc3004.pcap")]
    assert any(77 in each.options for each in classes)
    lease_query = COOKIE + b"\x35\x01\x0a"
    found = [each for each in payloads(folder / "tcpdump-dhcp-rfc4388.pcap") if each[236:243] == lease_query]
    queries = [decode(each) for each in found]
    assert queries
    assert not any(isinstance(answer(each, arrival(), make_policy(), NOW), Reply) for each in queries)


def test_the_flood_of_requests_leaves_the_server_with_few_words(captures: Path) -> None:
    flood = payloads(captures / "public-pcap" / "suricata-verify-dhcp-request-flood.pcap.gz")
    policy = make_policy()
    reasons = {answer(decode(each), arrival(), policy, NOW).reason for each in flood[:2000]}
    assert 0 < len(reasons) < 50
