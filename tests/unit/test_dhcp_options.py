from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from netboot.dhcp import options as opt
from netboot.errors import InvalidInput

A = IPv4Address("10.9.0.1")


@pytest.mark.parametrize(
    ("option", "value", "raw"),
    [
        (opt.SUBNET_MASK, IPv4Address("255.255.255.0"), "ffffff00"),
        (opt.DNS, (A, IPv4Address("10.9.0.2")), "0a0900010a090002"),
        (opt.LEASE_TIME, 3600, "00000e10"),
        (opt.MAX_SIZE, 1472, "05c0"),
        (opt.MESSAGE_TYPE, 5, "05"),
        (opt.ARCH, (7, 16), "00070010"),
        (opt.VENDOR_CLASS, b"PXEClient", "505845436c69656e74"),
        (opt.TFTP_SERVER, b"10.9.0.1", "31302e392e302e3100"),  # the NUL that ROMs want
        (opt.BOOT_FILE, b"a.efi", "612e65666900"),
        # The examples of RFC 3442.
        (opt.CLASSLESS_ROUTES, ((IPv4Network("0.0.0.0/0"), A),), "000a090001"),
        (opt.CLASSLESS_ROUTES, ((IPv4Network("10.27.129.0/24"), A), (IPv4Network("10.229.0.128/25"), A)),
         "180a1b810a090001190ae500800a090001"),
        (opt.CLASSLESS_ROUTES, ((IPv4Network("10.17.0.0/16"), A),), "100a110a090001"),
    ],
)  # fmt: skip
def test_values_and_bytes(option: opt.Option[Any], value: Any, raw: str) -> None:
    code, written = option.write(value)
    assert (code, written.hex()) == (option.code, raw)
    assert option.read({code: written}) == value


@pytest.mark.parametrize(
    ("option", "raw"),
    [
        (opt.REQUESTED_ADDRESS, b""),
        (opt.REQUESTED_ADDRESS, b"\x0a\x09\x00"),
        (opt.SERVER_ID, b"\x0a\x09\x00\x01\x00"),
        (opt.LEASE_TIME, b"\x01"),
        (opt.MAX_SIZE, b"\x05"),
        (opt.ARCH, b""),
        (opt.ARCH, b"\x00\x07\x00"),
        (opt.DNS, b"\x0a\x09\x00"),
        (opt.CLASSLESS_ROUTES, b"\x21\x0a"),
        (opt.CLASSLESS_ROUTES, b"\x18\x0a\x09"),
    ],
)
def test_a_wrong_length_is_not_believed(option: opt.Option[Any], raw: bytes) -> None:
    assert option.read({option.code: raw}) is None


def test_an_absent_option_is_none_and_text_loses_its_nuls() -> None:
    assert opt.HOSTNAME.read({}) is None
    assert opt.HOSTNAME.read({12: b"a\0b\0\0"}) == b"a\0b"


@pytest.mark.parametrize("value", [b"", b"x" * 256])
def test_what_clients_would_reject_is_not_written(value: bytes) -> None:
    with pytest.raises(InvalidInput, match="domain"):
        opt.DOMAIN.write(value)


def test_the_registry_knows_every_option_once() -> None:
    assert opt.REGISTRY[82] is opt.RELAY_INFO
    listed = {each.code for each in vars(opt).values() if isinstance(each, opt.Option)}
    assert set(opt.REGISTRY) == listed


def test_suboptions() -> None:
    raw = opt.write_suboptions({6: b"\x08", 71: b"\0\0\0\0"}, end=b"\xff")
    assert raw.hex() == "060108470400000000ff"
    assert opt.read_suboptions(raw) == {6: b"\x08", 71: b"\0\0\0\0"}


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("", {}),
        ("01", {}),
        ("0105", {}),
        ("010161020561", {1: b"a"}),
        ("00010161", {1: b"a"}),
        ("010161ff020162", {1: b"a"}),
    ],
)
def test_broken_suboptions_are_read_as_far_as_they_go(raw: str, read: dict[int, bytes]) -> None:
    assert opt.read_suboptions(bytes.fromhex(raw)) == read


def test_a_vendor_field_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput):
        opt.write_suboptions({9: b"x" * 256})
    with pytest.raises(InvalidInput):
        opt.VENDOR.write(opt.write_suboptions({9: b"x" * 200, 10: b"x" * 100}))
