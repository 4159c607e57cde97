from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.allocate import HOLD_S
from netboot.dhcp.decision import Reply
from netboot.dhcp.leases import LeaseBook
from netboot.dhcp.message import ZERO, Message, MessageType
from netboot.model.event import EventKind
from netboot.model.lease import LeaseState
from netboot.model.loader import LoaderChoice
from tests.dhcp_kit import (
    BIOS,
    IPXE,
    LAB,
    NOW,
    SERVER,
    SUBNET,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    UNICAST,
    UUID,
    Raw,
    active,
    arrival,
    ask,
    discover,
    dora,
    extending,
    holder,
    macs,
    make_policy,
    packet,
    reply,
    selecting,
    silence,
    told,
)
from tests.kit import MAC, OTHER_MAC

RESERVED = replace(LAB, address=IPv4Address("10.9.0.7"))
SCRIPT = "http://10.9.0.1:8080/boot/52-54-00-00-00-01/ipxe"


def test_what_an_offer_and_an_ack_always_carry() -> None:
    policy = make_policy()
    asked = discover(flags=0x8000, secs=9, hops=2, siaddr=IPv4Address("1.2.3.4"), file=b"theirs", sname=b"theirs")
    offer = reply(asked, policy)
    ack = reply(selecting(str(offer.yiaddr)), policy)
    for message, kind in ((offer, 2), (ack, 5)):
        assert message.options[53] == bytes((kind,))
        assert message.options[54] == SERVER.packed
        times = [int.from_bytes(message.options[code], "big") for code in (58, 59, 51)]
        assert times == [1800, 3150, 3600]
        assert not {50, 55, 57} & set(message.options)
        assert all(message.options.values())
        assert (message.op, message.htype, message.hlen, message.hops, message.secs) == (2, 1, 6, 0, 0)
        assert (message.xid, message.chaddr, message.ciaddr) == (0x1234, asked.chaddr, ZERO)
        assert (message.siaddr, message.file, message.sname) == (ZERO, b"", b"")
    assert (offer.flags, offer.yiaddr) == (0x8000, ack.yiaddr)


def test_an_ordinary_client_gets_its_address_and_nothing_about_booting() -> None:
    ack = dora(make_policy(LAB))
    assert set(ack.options) == {53, 54, 51, 58, 59, 1, 3, 6, 12, 15, 28}
    assert ack.options[12] == b"lab-01"
    assert ack.options[3] == IPv4Address("10.9.0.254").packed


def test_the_parameter_list_is_obeyed_in_its_order_and_survives_garbage() -> None:
    ack = dora(make_policy(LAB), {55: bytes((0, 28, 204, 3, 28, 255, 12, 52, 82))})
    assert list(ack.options) == [53, 54, 51, 58, 59, 1, 28, 3, 12]
    everything = dora(make_policy(LAB), {})
    assert {1, 3, 6, 12, 15, 28} < set(everything.options)


@pytest.mark.parametrize(
    ("asker", "file", "vendor_class", "extra"),
    [
        (BIOS, "ipxe/undionly.kpxe", b"PXEClient", {43: b"\x06\x01\x08\xff"}),
        (UEFI, "ipxe/snponly.efi", b"PXEClient", {43: b"\x06\x01\x08\xff"}),
        (UEFI_HTTP, "http://10.9.0.1:8080/loader/ipxe/snponly.efi", b"HTTPClient", {}),
        (IPXE, SCRIPT, b"PXEClient", {43: b"\x06\x01\x08\xff", 175: b"\xb0\x01\x01"}),
    ],
)
def test_boot_information_stands_in_header_and_options_of_offer_and_ack(
    asker: Raw, file: str, vendor_class: bytes, extra: Raw
) -> None:
    policy = make_policy(LAB)
    offer = reply(discover(asker), policy)
    ack = reply(selecting(str(offer.yiaddr), asker), policy)
    for message in (offer, ack):
        assert (message.siaddr, message.file.decode()) == (SERVER, file)
        assert message.options[66] == b"10.9.0.1\0"
        assert message.options[67] == file.encode() + b"\0"
        assert message.options[60] == vendor_class
        assert message.options[97] == b"\x00" + UUID
        assert {code: message.options[code] for code in (43, 175) if code in message.options} == extra


def test_pxelinux_is_sent_even_to_an_ipxe_rom() -> None:
    policy = make_policy(replace(LAB, loader=LoaderChoice.PXELINUX))
    assert reply(discover(IPXE), policy).file == b"pxelinux/lpxelinux.0"


def test_a_loader_that_the_machine_cannot_start_is_a_denial() -> None:
    decision = ask(discover(BIOS), make_policy(replace(LAB, loader=LoaderChoice.GRUB)))
    assert told(decision) == ["discovered", "denied", "offered"]
    assert "no grub" in str(decision.events[1].details["reason"])
    assert "--loader auto" in str(decision.events[1].details["hint"])


def test_a_long_url_stands_in_option_67_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://10.9.0.1:8080/" + "x" * 120
    monkeypatch.setattr("netboot.dhcp.bootinfo.boot_file", lambda *_, **__: url)
    offer = reply(discover(IPXE), make_policy(LAB))
    assert (offer.file, offer.options[67]) == (b"", url.encode() + b"\0")


@pytest.mark.parametrize("asker", [BIOS, UEFI, UEFI_HTTP, IPXE])
def test_a_machine_that_may_not_boot_gets_an_address_without_boot_information(asker: Raw) -> None:
    policy = make_policy()
    decision = ask(discover(asker), policy)
    assert isinstance(decision, Reply)
    assert told(decision) == ["discovered", "denied", "offered"]
    denied = decision.events[1].details
    assert denied["reason"] == f"client {MAC} is unknown"
    assert "netboot client add" in str(denied["hint"])
    ack = reply(selecting(str(decision.message.yiaddr), asker), policy)
    for message in (decision.message, ack):
        assert not {43, 60, 66, 67, 175} & set(message.options)
        assert (message.siaddr, message.file) == (ZERO, b"")


def test_a_machine_without_a_loader_of_ours_is_told_apart() -> None:
    decision = ask(discover({**UEFI, 93: b"\0\x26"}), make_policy(LAB))
    assert told(decision) == ["discovered", "denied", "offered"]
    assert "no loader" in str(decision.events[1].details["reason"])


def test_the_story_of_a_boot() -> None:
    policy = make_policy(LAB)
    decision = ask(discover(UEFI), policy)
    discovered, offered = decision.events
    assert discovered.details == {
        "firmware": "uefi",
        "arch": 7,
        "stage": "firmware",
        "interface": "br0",
        "uuid": "00112233-4455-6677-8899-aabbccddeeff",
    }
    address = str(offered.details["address"])
    assert offered.details["boot_file"] == "ipxe/snponly.efi"
    assert (discovered.mac, discovered.at) == (MAC, NOW)
    acked = ask(selecting(address, UEFI), policy).events
    assert [(each.kind, each.details) for each in acked] == [
        (EventKind.ACKED, {"address": address, "stage": "firmware"})
    ]
    assert told(ask(discover(IPXE), policy)) == ["discovered", "offered"]
    scripted = ask(selecting(address, IPXE), policy)
    assert told(scripted) == ["acked", "script-offered"]
    assert scripted.events[1].details == {"url": SCRIPT}
    assert ask(discover(), policy).events == ()
    running = ask(selecting(address), policy)
    assert [(each.kind, each.details["stage"]) for each in running.events] == [(EventKind.ACKED, "system")]


def test_one_mac_keeps_one_address_whatever_it_calls_itself() -> None:
    """Firmware, iPXE, dhclient and networkd on one card; the last tells its own client identifier."""
    policy = make_policy(LAB)
    identities: list[tuple[Raw, bytes | None]] = [
        (UEFI, None),
        (IPXE, b"\x01" + MAC.octets),
        (SYSTEM, b"\x01" + MAC.octets),
        (SYSTEM, b"\xff\x12\x34\x56\x78" + b"\x00\x02\x00\x00\xab\x11" + bytes(8)),
        (SYSTEM, b"\x05"),
    ]
    seen = set()
    for asker, client_id in identities:
        more = {} if client_id is None else {61: client_id}
        offer = reply(discover({**asker, **more}), policy)
        ack = reply(selecting(str(offer.yiaddr), {**asker, **more}), policy)
        assert offer.options.get(61) == ack.options.get(61) == client_id
        seen.add(ack.yiaddr)
    assert len(seen) == 1


def test_two_macs_with_one_client_identifier_get_two_addresses() -> None:
    policy = make_policy()
    cloned = {**SYSTEM, 61: b"\xff" + bytes(14)}
    assert dora(policy, cloned, mac=MAC).yiaddr != dora(policy, cloned, mac=OTHER_MAC).yiaddr


def test_a_reservation_wins_and_moves_the_client_at_its_next_boot() -> None:
    policy = make_policy(LAB)
    before = dora(policy).yiaddr
    book = policy.leases
    policy = replace(make_policy(RESERVED), leases=book)
    decision = ask(discover(), policy)
    assert isinstance(decision, Reply)
    assert decision.message.yiaddr == RESERVED.address
    # Until it takes it, the old lease stands; then it is given back in the same stroke.
    assert holder(book, before, NOW) == MAC
    taken = ask(selecting("10.9.0.7"), policy)
    assert [(str(each.address), each.state) for each in taken.leases] == [
        (str(before), LeaseState.RELEASED),
        ("10.9.0.7", LeaseState.ACTIVE),
    ]


def test_a_repeated_discover_gets_the_same_address_while_it_is_held() -> None:
    policy = make_policy()
    first = ask(discover(), policy)
    assert isinstance(first, Reply)
    assert [(each.state, each.expires_at) for each in first.leases] == [(LeaseState.OFFERED, NOW + HOLD_S)]
    for mac in macs(9):
        assert reply(discover(mac=mac), policy).yiaddr != first.message.yiaddr
    assert reply(discover(), policy, now=NOW + 60).yiaddr == first.message.yiaddr


def test_a_full_pool_is_silence_and_one_event() -> None:
    policy = make_policy(leases=[active(f"10.9.0.{100 + each}", mac) for each, mac in enumerate(macs(10))])
    decision = ask(discover(BIOS), policy)
    assert told(decision) == ["discovered", "denied", "pool-exhausted"]
    assert "exhausted" in decision.reason


@pytest.mark.parametrize(("asked", "given"), [(None, 3600), (60, 600), (1800, 1800), (7200, 3600), (0xFFFFFFFF, 3600)])
def test_the_lease_time_asked_for_is_kept_within_bounds(asked: int | None, given: int) -> None:
    policy = make_policy()
    more = {} if asked is None else {51: asked.to_bytes(4, "big")}
    offer = reply(discover(more=more), policy)
    decision = ask(selecting(str(offer.yiaddr), more=more), policy)
    assert isinstance(decision, Reply)
    for message in (offer, decision.message):
        assert int.from_bytes(message.options[51], "big") == given
    assert decision.leases[-1].expires_at == NOW + given


def test_new_addresses_are_probed_and_known_ones_are_not() -> None:
    policy = make_policy()
    first = ask(discover(), policy)
    assert isinstance(first, Reply)
    assert first.probe == first.message.yiaddr
    again = ask(discover(), policy)
    assert isinstance(again, Reply)
    assert again.probe is None
    reserved = ask(discover(), make_policy(RESERVED))
    assert isinstance(reserved, Reply)
    assert reserved.probe is None


def test_inform_tells_the_settings_and_lends_nothing() -> None:
    policy = make_policy(LAB)
    decision = ask(packet(MessageType.INFORM, ciaddr=IPv4Address("10.9.0.50")), policy, by=UNICAST)
    assert isinstance(decision, Reply)
    message = decision.message
    assert (message.options[53], message.yiaddr, str(message.ciaddr)) == (b"\x05", ZERO, "10.9.0.50")
    assert not {51, 58, 59} & set(message.options)
    assert message.options[6] == b"".join(each.packed for each in SUBNET.dns)
    assert (decision.leases, decision.events) == ((), ())


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (packet(MessageType.DISCOVER, op=2), "a reply"),
        (Message(chaddr=MAC.octets + bytes(10)), "BOOTP"),
        (packet(MessageType.OFFER), "no client"),
        (packet(MessageType.ACK), "no client"),
        (packet(MessageType.NAK), "no client"),
        (Message(chaddr=MAC.octets + bytes(10), options={53: b"\x0a"}), "no client"),  # lease query
        (discover(htype=32, hlen=0), "no Ethernet"),
        (discover(chaddr=bytes(16)), "no Ethernet"),
    ],
)
def test_what_is_not_answered(message: Message, why: str) -> None:
    assert why in silence(message, make_policy(LAB))


def test_a_subnet_that_is_missing_and_a_mode_that_is_off_are_silence() -> None:
    assert "no subnet" in silence(discover(), make_policy(subnet=None))
    assert "off" in silence(discover(), make_policy(mode=DhcpMode.OFF))


def test_odd_packets_of_real_clients_are_served() -> None:
    policy = make_policy(LAB)
    for message in (
        discover(ciaddr=IPv4Address("10.9.0.5")),
        discover(more={50: b"\x0a", 51: b"\x01", 57: b"\x01", 93: b"\x01", 97: b"", 61: b"\x01"}),
        discover(hops=16, more={77: b"\xff\xff", 43: b"\xff\xff\xff", 175: b"\x01\xff"}),
        discover(BIOS, more={97: b"\x01\x02\x03"}),
    ):
        assert reply(message, policy).type is MessageType.OFFER


def test_the_book_of_a_policy_is_only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(LAB)
    monkeypatch.setattr(LeaseBook, "put", lambda *_: pytest.fail("answer changed the book"))
    from netboot.dhcp.answer import answer

    for message in (discover(BIOS), selecting("10.9.0.100"), extending("10.9.0.100")):
        assert isinstance(answer(message, arrival(), policy, NOW), Reply)
