"""What each strategy puts on the wire, and who is told by which."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.boot.strategies import order
from netboot.config import DhcpMode
from netboot.dhcp import options as opt
from netboot.dhcp.bootinfo import own_info
from netboot.dhcp.decision import Query, Reply
from netboot.dhcp.identify import identify
from netboot.dhcp.message import Message, MessageType
from netboot.dhcp.policy import Policy
from netboot.dhcp.pxe import Telling, telling_of
from netboot.model.client import Client
from netboot.model.mac import MacAddress
from netboot.model.request import Arch, BootRequest, Firmware
from netboot.model.strategy import Fingerprint, Strategy
from tests.dhcp_kit import (
    BIOS,
    BOOT_PORT,
    IPXE,
    LAB,
    NOW,
    SERVER,
    UEFI,
    UEFI_HTTP,
    Raw,
    arrival,
    ask,
    discover,
    dora,
    make_policy,
    packet,
    reply,
    selecting,
)

OWN, PROXY = DhcpMode.OWN, DhcpMode.PROXY
FILES = {Firmware.BIOS: b"ipxe/undionly.kpxe", Firmware.UEFI: b"ipxe/snponly.efi"}
PI_3, PI_4 = MacAddress.parse("b8:27:eb:00:00:01"), MacAddress.parse("dc:a6:32:00:00:01")

# 43, byte by byte as PXE 2.1 table 2-1 has it: our server is 10.9.0.1, our type 8000, the text "netboot".
DIRECT = "060108ff"
MENU = "060107" + "0807" + "8000010a090001" + "090a" + "8000076e6574626f6f74" + "0a08" + "006e6574626f6f74" + "ff"
MENU_OF_TWO = (
    "060107"
    + "0807" + "8000010a090001"
    + "0917" + "8000076e6574626f6f74" + "00000a6c6f63616c206469736b"
    + "0a08" + "006e6574626f6f74"
    + "ff"
)  # fmt: skip


def telling(message: Message, policy: Policy) -> Telling:
    found = telling_of(query(message, policy))
    assert found is not None
    return found


def query(message: Message, policy: Policy) -> Query:
    mac = message.mac
    assert mac is not None
    asker = identify(message, mac)
    assert isinstance(asker, BootRequest)
    return Query(
        message=message,
        mac=mac,
        arrival=arrival(),
        policy=policy,
        now=NOW,
        asker=asker,
        client=policy.boot.clients.find(mac),
    )


def pinned(strategy: Strategy) -> Client:
    return replace(LAB, strategy=strategy)


@pytest.mark.parametrize("mode", [OWN, PROXY])
@pytest.mark.parametrize(
    ("strategy", "asker", "vendor_class", "file", "field"),
    [
        (Strategy.DIRECT, BIOS, b"PXEClient", FILES[Firmware.BIOS], DIRECT),
        (Strategy.DIRECT, UEFI, b"PXEClient", FILES[Firmware.UEFI], DIRECT),
        (Strategy.INVITE, BIOS, b"PXEClient", FILES[Firmware.BIOS], None),
        (Strategy.INVITE, UEFI, b"PXEClient", FILES[Firmware.UEFI], None),
        (Strategy.DISCOVERY, BIOS, b"PXEClient", b"", MENU),
        (Strategy.DISCOVERY, UEFI, b"PXEClient", b"", MENU_OF_TWO),
        (Strategy.PLAIN, BIOS, None, FILES[Firmware.BIOS], None),
        (Strategy.PLAIN, UEFI, None, FILES[Firmware.UEFI], None),
    ],
)
def test_what_each_strategy_says(
    mode: DhcpMode, strategy: Strategy, asker: Raw, vendor_class: bytes | None, file: bytes, field: str | None
) -> None:
    offer = reply(discover(asker), make_policy(pinned(strategy), mode=mode))
    assert offer.options.get(60) == vendor_class
    assert (offer.options.get(43, b"").hex() or None) == field
    assert offer.file == file
    assert (offer.siaddr == SERVER, 66 in offer.options, 67 in offer.options) == (bool(file),) * 3
    assert offer.options[54] == SERVER.packed
    assert 97 in offer.options


@pytest.mark.parametrize("strategy", Strategy)
def test_the_ack_follows_its_offer(strategy: Strategy) -> None:
    """Rule 2.10, for every strategy."""
    policy = make_policy(pinned(strategy))
    offer = reply(discover(UEFI), policy)
    ack = reply(selecting(str(offer.yiaddr), UEFI), policy)
    assert [ack.options.get(code) for code in (43, 60, 66, 67)] == [
        offer.options.get(code) for code in (43, 60, 66, 67)
    ]
    assert (ack.file, ack.siaddr) == (offer.file, offer.siaddr)


def test_a_menu_is_never_longer_than_option_43() -> None:
    for strategy in Strategy:
        for asker in (BIOS, UEFI):
            field = reply(discover(asker), make_policy(pinned(strategy))).options.get(43, b"")
            entries = opt.read_suboptions(field)
            assert len(field) <= 255
            assert not set(entries) & {1, 2, 3, 4, 5}  # rule 2.13
            assert all(len(text) <= 70 for text in entries.values())


def test_discovery_ends_on_port_4011_with_the_item_that_was_chosen() -> None:
    policy = make_policy(pinned(Strategy.DISCOVERY), mode=PROXY)
    asked = packet(
        MessageType.REQUEST, BIOS, more={43: bytes.fromhex("470480000000ff")}, ciaddr=IPv4Address("10.9.0.9")
    )
    ack = reply(asked, policy, by=BOOT_PORT)
    assert (ack.options[43].hex(), ack.file, ack.siaddr) == ("470480000000ff", FILES[Firmware.BIOS], SERVER)


@pytest.mark.parametrize("mode", [OWN, PROXY])
@pytest.mark.parametrize("strategy", Strategy)
def test_ipxe_is_never_sent_a_menu(mode: DhcpMode, strategy: Strategy) -> None:
    """Rule 2.16, whatever is pinned for the machine that it runs on; the same for HTTP boot."""
    lacking = {**IPXE, 175: bytes.fromhex("110101")}
    for asker in (IPXE, lacking, UEFI_HTTP):
        assert reply(discover(asker), make_policy(pinned(strategy), mode=mode)) == reply(
            discover(asker), make_policy(LAB, mode=mode)
        )


@pytest.mark.parametrize(
    ("mode", "asker", "first"),
    [(OWN, BIOS, "direct"), (OWN, UEFI, "direct"), (PROXY, BIOS, "direct"), (PROXY, UEFI, "invite")],
)
def test_the_offer_tells_by_what_and_to_whom(mode: DhcpMode, asker: Raw, first: str) -> None:
    (offered,) = [each for each in ask(discover(asker), make_policy(LAB, mode=mode)).events if each.kind == "offered"]
    assert offered.details["strategy"] == first
    fingerprint = Fingerprint.parse(str(offered.details["fingerprint"]))
    assert (fingerprint.oui, fingerprint.vendor_class.encode()) == ("52:54:00", asker[60])
    assert "pinned" not in offered.details
    for silent in (IPXE, UEFI_HTTP):
        events = ask(discover(silent), make_policy(LAB, mode=mode)).events
        assert all("fingerprint" not in each.details for each in events)


def test_what_a_make_taught_is_for_that_make_and_mode_alone() -> None:
    uefi = telling(discover(UEFI), make_policy(LAB)).fingerprint
    policy = make_policy(LAB, strategies={(OWN, uefi): Strategy.INVITE})
    assert telling(discover(UEFI), policy).strategy is Strategy.INVITE
    assert telling(discover(BIOS), policy).strategy is Strategy.DIRECT
    assert telling(discover(UEFI), replace(policy, mode=PROXY)).strategy is Strategy.INVITE  # the first there
    other = replace(discover(UEFI), chaddr=MacAddress.parse("00:1b:21:00:00:01").octets + bytes(10))
    assert telling(other, policy).strategy is Strategy.DIRECT


def test_an_admin_may_pin_a_strategy() -> None:
    uefi = telling(discover(UEFI), make_policy(LAB)).fingerprint
    policy = make_policy(pinned(Strategy.DISCOVERY), strategies={(OWN, uefi): Strategy.INVITE})
    found = telling(discover(UEFI), policy)
    assert (found.strategy, found.details["pinned"]) == (Strategy.DISCOVERY, 1)


def test_the_make_is_the_same_in_every_message_of_a_boot() -> None:
    """A REQUEST may leave out what it asks for, and a Pi its vendor class (rule 2.3)."""
    bare = {code: value for code, value in UEFI.items() if code != 55}
    assert telling(discover(UEFI), make_policy(LAB)) == telling(selecting("10.9.0.100", bare), make_policy(LAB))
    pi: Raw = {97: b"\0" + b"RPi4" + bytes(12), 60: b"PXEClient:Arch:00000:UNDI:002001"}
    unsaid = {97: pi[97]}
    assert telling(discover(pi, mac=PI_4), make_policy()) == telling(
        selecting("10.9.0.1", unsaid, mac=PI_4), make_policy()
    )


def test_a_learned_strategy_that_does_not_belong_to_the_mode_is_not_used() -> None:
    uefi = telling(discover(UEFI), make_policy(LAB)).fingerprint
    policy = make_policy(LAB, mode=PROXY, strategies={(PROXY, uefi): Strategy.PLAIN})
    assert telling(discover(UEFI), policy).strategy is Strategy.INVITE


@pytest.mark.parametrize("mode", [OWN, PROXY])
def test_every_order_begins_with_what_most_machines_boot_by_and_repeats_nothing(mode: DhcpMode) -> None:
    for firmware in (Firmware.BIOS, Firmware.UEFI, Firmware.RASPBERRY_PI):
        tried = order(mode, Fingerprint(firmware, 0, "52:54:00", ""))
        assert len(set(tried)) == len(tried) >= 3
        assert (Strategy.PLAIN in tried) is (mode is OWN and firmware is not Firmware.RASPBERRY_PI)
    assert order(mode, Fingerprint(Firmware.UEFI_HTTP, 16, "52:54:00", "")) == ()


PI: Raw = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 97: b"\0" + bytes.fromhex("d4659bbd") * 4}


@pytest.mark.parametrize(
    ("mac", "strategy", "delay_s", "text"),
    [(PI_3, Strategy.PI_LATE, 1.0, b"Raspberry Pi Boot   "), (PI_4, Strategy.PI, 0.0, b"Raspberry Pi Boot")],
)
def test_a_pi_3_is_answered_late(mac: MacAddress, strategy: Strategy, delay_s: float, text: bytes) -> None:
    """Rules 2.30 and 2.31."""
    message = discover(PI, mac=mac)
    found = telling(message, make_policy())
    assert (found.strategy, found.delay_s) == (strategy, delay_s)
    field = own_info(query(message, make_policy()), "bootcode.bin", found).options[43]
    assert opt.read_suboptions(field)[9] == b"\0\0" + bytes((len(text),)) + text


def test_the_offer_waits_and_the_ack_does_not() -> None:
    policy = make_policy(pinned(Strategy.PI_LATE))
    decision = ask(discover(UEFI), policy)
    assert isinstance(decision, Reply)
    assert decision.delay_s == 1.0
    ack = ask(selecting(str(decision.message.yiaddr), UEFI), policy)
    assert isinstance(ack, Reply)
    assert ack.delay_s == 0.0
    assert dora(make_policy(LAB), UEFI)


def test_a_machine_that_takes_another_servers_address_is_noted() -> None:
    rival = IPv4Address("10.9.0.2")
    for mode in (OWN, PROXY):
        decision = ask(selecting("10.9.0.150", UEFI, server=rival), make_policy(LAB, mode=mode))
        (event,) = decision.events
        assert (event.kind.value, event.details["server"], event.details["address"]) == (
            "requested",
            "10.9.0.2",
            "10.9.0.150",
        )
        assert not isinstance(decision, Reply)
        assert ask(selecting("10.9.0.150", server=rival), make_policy(LAB, mode=mode)).events == ()


def test_a_fingerprint_is_written_and_read_back() -> None:
    odd = Fingerprint.of(Firmware.BIOS, Arch.BIOS, bytes.fromhex("525400"), b"PXE/Cli\xffent\n" + b"x" * 100)
    assert str(odd).startswith("bios/0/52:54:00/PXE/Cli?ent?xxx")
    assert len(str(odd)) < 100
    assert Fingerprint.parse(str(odd)) == odd
