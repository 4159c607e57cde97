from __future__ import annotations

import pytest

from netboot.dhcp.identify import NotBooting, identify, swapped_uuid, user_classes, written_uuid
from netboot.dhcp.message import MessageType
from netboot.model.mac import MacAddress
from netboot.model.request import Arch, BootRequest, Firmware, Stage
from tests.dhcp_kit import BIOS, IPXE, SYSTEM, UEFI, UEFI_HTTP, Raw, packet
from tests.kit import MAC

PI_MAC = MacAddress.parse("b8:27:eb:00:00:01")
FULL_IPXE = bytes.fromhex("130101180101")
EFI_IPXE = bytes.fromhex("130101240101")
POOR_IPXE = bytes.fromhex("150101180101")  # TFTP and bzImage: VirtualBox's


def seen(options: Raw, mac: MacAddress = MAC) -> BootRequest | NotBooting:
    return identify(packet(MessageType.DISCOVER, options, mac=mac), mac)


def booting(options: Raw, mac: MacAddress = MAC) -> BootRequest:
    found = seen(options, mac)
    assert isinstance(found, BootRequest)
    return found


@pytest.mark.parametrize(
    ("options", "firmware", "stage", "arch", "http"),
    [
        (BIOS, Firmware.BIOS, Stage.FIRMWARE, Arch.BIOS, False),
        (UEFI, Firmware.UEFI, Stage.FIRMWARE, Arch.X64_UEFI, False),
        ({**UEFI, 93: b"\0\x09"}, Firmware.UEFI, Stage.FIRMWARE, Arch.EBC, False),
        ({**UEFI, 93: b"\0\x0b"}, Firmware.UEFI, Stage.FIRMWARE, Arch.ARM64_UEFI, False),
        (UEFI_HTTP, Firmware.UEFI_HTTP, Stage.FIRMWARE, Arch.X64_HTTP, True),
        (IPXE, Firmware.IPXE, Stage.LOADER, Arch.BIOS, True),
        ({60: b"U-Boot.armv8", 93: b"\0\x16"}, Firmware.UBOOT, Stage.FIRMWARE, Arch.ARM64_UBOOT, False),
        ({60: b"PXEClient"}, Firmware.BIOS, Stage.FIRMWARE, Arch.BIOS, False),  # no 93: BIOS
        ({60: b"PXEClient:Arch:00007:UNDI:003016"}, Firmware.UEFI, Stage.FIRMWARE, Arch.X64_UEFI, False),
        ({60: b"PXEClient:Arch:00007", 93: b"\0\x06"}, Firmware.UEFI, Stage.FIRMWARE, Arch.X86_UEFI, False),
        ({60: b"PXEClient:Arch:00007", 93: b"\0"}, Firmware.UEFI, Stage.FIRMWARE, Arch.X64_UEFI, False),
        ({60: b"PXEClient", 93: b"\0\x07\0\x10"}, Firmware.UEFI, Stage.FIRMWARE, Arch.X64_UEFI, False),
        ({60: b"PXEClient", 93: b"\x03\xe7"}, Firmware.UNKNOWN, Stage.FIRMWARE, 999, False),
        ({60: b"HTTPClient"}, Firmware.UEFI_HTTP, Stage.FIRMWARE, Arch.X64_HTTP, True),
    ],
)
def test_who_asks(options: Raw, firmware: Firmware, stage: Stage, arch: int, http: bool) -> None:
    request = booting(options)
    assert (request.firmware, request.stage, request.arch, request.http) == (firmware, stage, arch, http)


@pytest.mark.parametrize(
    "options", [SYSTEM, {60: b"MSFT 5.0"}, {60: b"dhcpcd-9.4.1"}, {60: b"xPXEClient"}, {77: b"\x03abc"}]
)
def test_an_ordinary_client_boots_nothing(options: Raw) -> None:
    assert isinstance(seen(options), NotBooting)


@pytest.mark.parametrize(
    ("options", "stage"),
    [
        ({77: b"iPXE"}, Stage.LOADER),
        ({77: b"\x04iPXE"}, Stage.LOADER),  # as RFC 3004 has it
        ({77: b"\x03abc\x04iPXE"}, Stage.LOADER),
        ({175: FULL_IPXE}, Stage.LOADER),
        ({77: b"iPXE", 175: EFI_IPXE}, Stage.LOADER),
        ({77: b"iPXE", 175: POOR_IPXE}, Stage.FIRMWARE),
        ({77: b"gPXE", 175: FULL_IPXE}, Stage.FIRMWARE),
    ],
)
def test_an_ipxe_that_can_fetch_our_scripts_is_a_loader(options: Raw, stage: Stage) -> None:
    request = booting({**BIOS, **options})
    assert (request.firmware, request.stage) == (Firmware.IPXE, stage)


def test_each_packet_is_judged_alone() -> None:
    """One machine through its five stages: nothing is remembered of it."""
    kinds = [booting(each).stage for each in (UEFI_HTTP, UEFI, IPXE)] + [booting(BIOS).stage]
    assert kinds == [Stage.FIRMWARE, Stage.FIRMWARE, Stage.LOADER, Stage.FIRMWARE]
    assert isinstance(seen(SYSTEM), NotBooting)


@pytest.mark.parametrize(
    ("mac", "options"),
    [
        (PI_MAC, BIOS),
        (PI_MAC, {97: b"\x00" + b"\x11" * 16}),  # a REQUEST without option 60
        (MAC, {**BIOS, 97: b"\x00" + bytes.fromhex("d4659bbd") * 4}),
        (MAC, {**BIOS, 97: b"\x00RPi4" + b"\x01" * 12}),
    ],
)
def test_a_raspberry_pi_is_known_although_it_pretends_to_be_a_bios(mac: MacAddress, options: Raw) -> None:
    request = booting(options, mac)
    assert (request.firmware, request.arch) == (Firmware.RASPBERRY_PI, Arch.RASPBERRY_PI)


@pytest.mark.parametrize("options", [SYSTEM, {60: b"dhcpcd-9.4.1:Linux", 97: b"\x00" + b"\x11" * 16}])
def test_the_system_of_a_raspberry_pi_is_an_ordinary_client(options: Raw) -> None:
    assert isinstance(seen(options, PI_MAC), NotBooting)


@pytest.mark.parametrize(
    ("raw", "uuid"),
    [
        (b"\x00" + bytes(range(16)), bytes(range(16)).hex()),
        (b"\x00" + bytes(16), None),
        (b"\x01" + bytes(range(16)), None),
        (b"\x00" + bytes(range(15)), None),
        (b"", None),
    ],
)
def test_the_uuid_is_kept_as_it_came(raw: bytes, uuid: str | None) -> None:
    assert booting({**BIOS, 97: raw}).uuid == uuid


def test_the_uuid_is_written_as_the_firmware_shows_it() -> None:
    assert written_uuid(booting(BIOS)) == "00112233-4455-6677-8899-aabbccddeeff"
    assert written_uuid(booting({**BIOS, 60: b"U-Boot.armv8"})) == "33221100-5544-7766-8899-aabbccddeeff"
    assert written_uuid(booting({60: b"PXEClient"})) is None
    assert swapped_uuid(swapped_uuid("00112233445566778899aabbccddeeff")) == "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    ("raw", "classes"),
    [
        (b"iPXE", (b"iPXE",)),
        (b"\x04iPXE\x02ab", (b"iPXE", b"ab")),
        (b"\x04iP", (b"\x04iP",)),
        (b"\x00abc", (b"\x00abc",)),
        (b"", ()),
    ],
)
def test_user_classes_in_both_forms(raw: bytes, classes: tuple[bytes, ...]) -> None:
    assert user_classes(raw) == classes
