"""ProxyDHCP on port 67, and port 4011 in both modes."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.decision import Reply, Silence
from netboot.dhcp.destination import EVERYONE, destination
from netboot.dhcp.message import ZERO, Message, MessageType
from netboot.model.client import Client
from tests.dhcp_kit import (
    BIOS,
    BOOT_PORT,
    IPXE,
    LAB,
    SERVER,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    UNICAST,
    UUID,
    Raw,
    arrival,
    ask,
    discover,
    make_policy,
    packet,
    reply,
    selecting,
    silence,
    told,
)

CIADDR = IPv4Address("10.9.0.100")
NAMELESS = Client(mac=LAB.mac, name="lab-01")


def boot_request(asker: Raw, more: Raw | None = None) -> Message:
    return packet(MessageType.REQUEST, asker, more=more, ciaddr=CIADDR)


@pytest.mark.parametrize(
    ("asker", "file", "vendor_class", "control"),
    [
        (BIOS, b"ipxe/undionly.kpxe", b"PXEClient", b"\x06\x01\x08\xff"),
        (UEFI, b"ipxe/snponly.efi", b"PXEClient", None),  # invited to port 4011
        (UEFI_HTTP, b"http://10.9.0.1:8080/loader/ipxe/snponly.efi", b"HTTPClient", None),
        (IPXE, b"http://10.9.0.1:8080/boot/52-54-00-00-00-01/ipxe", b"PXEClient", b"\x06\x01\x08\xff"),
    ],
)
def test_the_offer_has_a_boot_file_and_no_address(
    asker: Raw, file: bytes, vendor_class: bytes, control: bytes | None
) -> None:
    policy = make_policy(LAB, mode=DhcpMode.PROXY)
    asked = discover(asker)
    offer = reply(asked, policy)
    assert (offer.type, offer.yiaddr, offer.ciaddr, offer.siaddr, offer.file) == (
        MessageType.OFFER,
        ZERO,
        ZERO,
        SERVER,
        file,
    )
    assert offer.options[54] == SERVER.packed
    assert offer.options[60] == vendor_class
    assert offer.options[67] == file + b"\0"
    assert offer.options[97] == b"\x00" + UUID
    assert offer.options.get(43) == control
    assert not {1, 3, 6, 51, 58, 59, 175} & set(offer.options)
    assert offer.broadcast
    assert destination(asked, offer, arrival()).address == EVERYONE


def test_the_offer_goes_through_a_relay() -> None:
    asked = discover(UEFI, giaddr=IPv4Address("10.8.0.1"), more={82: b"\x01\x01a"})
    offer = reply(asked, make_policy(LAB, mode=DhcpMode.PROXY))
    assert str(destination(asked, offer, arrival()).address) == "10.8.0.1"
    assert offer.options[82] == b"\x01\x01a"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (discover(SYSTEM), "booting machines"),
        (selecting("10.9.0.100", BIOS), "other server's to lend"),
        (packet(MessageType.INFORM, BIOS), "DISCOVER alone"),
        (packet(MessageType.RELEASE, BIOS), "DISCOVER alone"),
    ],
)
def test_a_proxy_is_silent_to_all_else(message: Message, why: str) -> None:
    decision = ask(message, make_policy(LAB, mode=DhcpMode.PROXY))
    assert isinstance(decision, Silence)
    assert why in decision.reason
    assert (decision.events, decision.leases) == ((), ())


def test_a_machine_that_may_not_boot_hears_nothing_and_the_admin_does() -> None:
    for policy in (make_policy(mode=DhcpMode.PROXY), make_policy(NAMELESS, mode=DhcpMode.PROXY)):
        decision = ask(discover(UEFI), policy)
        assert isinstance(decision, Silence)
        assert told(decision) == ["discovered", "denied"]
        assert decision.events[1].details["hint"]
        assert ask(boot_request(UEFI), policy, by=BOOT_PORT).events == ()


def test_the_story_of_a_proxied_boot() -> None:
    policy = make_policy(LAB, mode=DhcpMode.PROXY)
    assert told(ask(discover(UEFI), policy)) == ["discovered", "offered"]
    acked = ask(boot_request(UEFI), policy, by=BOOT_PORT)
    assert told(acked) == ["acked"]
    assert acked.events[0].details == {"address": "10.9.0.100", "stage": "firmware", "port": 4011}
    assert told(ask(discover(IPXE), policy)) == ["discovered", "offered", "script-offered"]


@pytest.mark.parametrize("mode", [DhcpMode.OWN, DhcpMode.PROXY])
@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.INFORM])
def test_port_4011_names_the_boot_file_and_lends_nothing(mode: DhcpMode, kind: MessageType) -> None:
    decision = ask(packet(kind, UEFI, ciaddr=CIADDR), make_policy(LAB, mode=mode), by=BOOT_PORT)
    assert isinstance(decision, Reply)
    ack = decision.message
    assert (ack.type, ack.yiaddr, ack.ciaddr) == (MessageType.ACK, ZERO, CIADDR)
    assert (ack.siaddr, ack.sname, ack.file) == (SERVER, b"10.9.0.1", b"ipxe/snponly.efi")
    assert (ack.options[54], ack.options[60], ack.options[97]) == (SERVER.packed, b"PXEClient", b"\x00" + UUID)
    assert not {1, 3, 51, 58, 59} & set(ack.options)
    assert decision.leases == ()


def test_a_boot_item_is_given_back() -> None:
    ack = reply(boot_request(UEFI, more={43: b"\x47\x04\x00\x00\x00\x00\xff"}), make_policy(LAB), by=BOOT_PORT)
    assert ack.options[43] == b"\x47\x04\x00\x00\x00\x00\xff"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (boot_request(UEFI_HTTP), "PXE clients"),
        (boot_request(SYSTEM), "PXE clients"),
        (discover(UEFI), "REQUEST and INFORM"),
        (boot_request(UEFI, more={43: b"\x47\x04\x00\x05\x00\x00\xff"}), "item 5"),
        (boot_request(UEFI, more={43: b"\x47\x04\x00\x00\x80\x00\xff"}), "credentials"),
        (boot_request(UEFI, more={43: b"\x47\x02\x00\x00\xff"}), "wrong length"),
    ],
)
def test_what_port_4011_leaves_alone(message: Message, why: str) -> None:
    for mode in (DhcpMode.OWN, DhcpMode.PROXY):
        assert why in silence(message, make_policy(LAB, mode=mode), by=BOOT_PORT)


def test_who_may_boot_is_the_same_question_on_every_port() -> None:
    """Rule 1.63: DISCOVER, REQUEST, INFORM and port 4011 agree."""
    for client, boots in ((LAB, True), (NAMELESS, False)):
        policy = make_policy(client)
        address = str(reply(discover(BIOS), policy).yiaddr)
        answers = [
            reply(discover(BIOS), policy),
            reply(selecting(address, BIOS), policy),
            reply(packet(MessageType.INFORM, BIOS, ciaddr=CIADDR), policy, by=UNICAST),
        ]
        assert [bool(each.file) for each in answers] == [boots] * 3
        assert isinstance(ask(boot_request(BIOS), policy, by=BOOT_PORT), Reply) is boots


def test_nothing_is_answered_where_dhcp_is_off() -> None:
    silence(discover(UEFI), make_policy(LAB, mode=DhcpMode.OFF))
    silence(boot_request(UEFI), make_policy(LAB, mode=DhcpMode.OFF), by=BOOT_PORT)
