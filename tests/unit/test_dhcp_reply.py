"""How large a reply may be, and what gives way."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.dhcp.message import encode, encoded_size
from netboot.dhcp.reply import size_limit
from tests.dhcp_kit import BIOS, LAB, SUBNET, discover, make_policy, reply


@pytest.mark.parametrize(
    ("claimed", "mtu", "limit"),
    [
        (None, 1500, 548),
        (b"\x02\x40", 1500, 548),  # U-Boot: 576
        (b"\x00\x64", 1500, 548),  # below what RFC 2132 allows
        (b"\x04\xec", 1500, 1232),  # AMI: 1260
        (b"\x05\xc0", 1500, 1444),
        (b"\xff\x00", 1500, 1472),  # OVMF: 1472 with its bytes swapped
        (b"\xff\x00", 1400, 1372),
        (b"\x05", 1500, 548),
    ],
)
def test_the_size_that_a_client_claims_is_bounded(claimed: bytes | None, mtu: int, limit: int) -> None:
    assert size_limit(discover({} if claimed is None else {57: claimed}), mtu) == limit


def test_the_least_important_gives_way_and_boot_information_does_not() -> None:
    many = replace(
        SUBNET, dns=tuple(IPv4Address(f"10.9.0.{each}") for each in range(1, 33)), domain="d" * 63 + ".example"
    )
    asker = {**BIOS, 57: b"\x02\x40", 82: b"\x01\x80" + bytes(128), 61: b"\xff" + bytes(60)}
    offer = reply(discover(asker), make_policy(LAB, subnet=many))
    assert encoded_size(offer) <= 548
    assert {53, 54, 51, 1, 60, 66, 67, 97, 43, 61, 82} <= set(offer.options)
    assert 6 not in offer.options
    assert 15 not in offer.options
    assert 52 not in offer.options
    roomy = reply(discover({**asker, 57: b"\x05\xc0"}), make_policy(LAB, subnet=many))
    assert {6, 15, 12, 3} <= set(roomy.options)
    assert len(encode(roomy)) == encoded_size(roomy) <= 1444
