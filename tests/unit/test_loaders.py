from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from netboot.boot.loaders import boot_file, find_loader, starts
from netboot.model.client import LoaderChoice
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.target import BootTarget, DeniedTarget, LocalTarget, MenuTarget
from tests.kit import MAC, make_target

SERVER = IPv4Address("10.9.0.1")
SCRIPT = "http://10.9.0.1:8080/boot/52-54-00-00-00-01/ipxe"


def named(stage: Stage, firmware: Firmware, arch: int, target: BootTarget) -> str | None:
    request = BootRequest(mac=MAC, stage=stage, firmware=firmware, arch=arch)
    return boot_file(request, target, server=SERVER, http_port=8080)


@pytest.mark.parametrize(
    ("stage", "firmware", "arch", "choice", "expected"),
    [
        (Stage.FIRMWARE, Firmware.BIOS, Arch.BIOS, LoaderChoice.AUTO, "ipxe/undionly.kpxe"),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.X64_UEFI, LoaderChoice.AUTO, "ipxe/snponly.efi"),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.EBC, LoaderChoice.AUTO, "ipxe/snponly.efi"),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.ARM64_UEFI, LoaderChoice.AUTO, "ipxe/arm64/snponly.efi"),
        (
            Stage.FIRMWARE,
            Firmware.UEFI_HTTP,
            Arch.X64_HTTP,
            LoaderChoice.AUTO,
            "http://10.9.0.1:8080/loader/ipxe/snponly.efi",
        ),
        (Stage.LOADER, Firmware.IPXE, Arch.BIOS, LoaderChoice.AUTO, SCRIPT),
        (Stage.LOADER, Firmware.IPXE, Arch.X64_UEFI, LoaderChoice.IPXE, SCRIPT),
        (Stage.FIRMWARE, Firmware.BIOS, Arch.BIOS, LoaderChoice.PXELINUX, "pxelinux/lpxelinux.0"),
        # An iPXE ROM of a client that wants pxelinux is its firmware, not its loader.
        (Stage.LOADER, Firmware.IPXE, Arch.BIOS, LoaderChoice.PXELINUX, "pxelinux/lpxelinux.0"),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.X64_UEFI, LoaderChoice.GRUB, "grub/shimx64.efi"),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.EBC, LoaderChoice.GRUB, "grub/shimx64.efi"),
        (Stage.LOADER, Firmware.IPXE, Arch.X64_UEFI, LoaderChoice.GRUB, "grub/shimx64.efi"),
        # A family that has nothing for the machine is not replaced by another.
        (Stage.FIRMWARE, Firmware.BIOS, Arch.BIOS, LoaderChoice.GRUB, None),
        (Stage.LOADER, Firmware.IPXE, Arch.BIOS, LoaderChoice.GRUB, None),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.ARM64_UEFI, LoaderChoice.GRUB, None),
        (Stage.FIRMWARE, Firmware.UEFI_HTTP, Arch.X64_HTTP, LoaderChoice.GRUB, None),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.X64_UEFI, LoaderChoice.PXELINUX, None),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.PPC_OPAL, LoaderChoice.AUTO, None),
    ],
)
def test_who_asks_decides_the_file(
    stage: Stage, firmware: Firmware, arch: int, choice: LoaderChoice, expected: str | None
) -> None:
    assert named(stage, firmware, arch, make_target(choice)) == expected


@pytest.mark.parametrize(
    "target",
    [DeniedTarget(mac=MAC, reason="r", hint="h", known=True), LocalTarget(mac=MAC, reason="r")],
)
def test_nothing_is_named_to_who_boots_nothing(target: BootTarget) -> None:
    assert named(Stage.FIRMWARE, Firmware.BIOS, Arch.BIOS, target) is None
    assert named(Stage.LOADER, Firmware.IPXE, Arch.BIOS, target) is None


def test_a_menu_is_a_script_too() -> None:
    menu = MenuTarget(mac=MAC, entries=(make_target(),), reason="test")
    assert named(Stage.LOADER, Firmware.IPXE, Arch.BIOS, menu) == SCRIPT


@pytest.mark.parametrize("choice", LoaderChoice)
@pytest.mark.parametrize("arch", [ANY_ARCH, *Arch])
def test_a_family_that_does_not_start_a_machine_names_it_no_file(choice: LoaderChoice, arch: int) -> None:
    name = named(Stage.FIRMWARE, Firmware.UEFI, arch, make_target(choice))
    if arch != ANY_ARCH:
        assert name is None or starts(choice, arch)
    else:
        assert starts(choice, arch)


def test_shim_finds_grub_beside_itself() -> None:
    shim, grub = find_loader("grub/shimx64.efi"), find_loader("grub/grubx64.efi")
    assert shim is not None, "apt-get install shim-signed"
    assert grub is not None, "apt-get install grub-efi-amd64-signed"
    # The signature table, entry 4 of the data directories of a PE32+ file, is not empty.
    for file in (shim, grub):
        image = file.read_bytes()
        header = int.from_bytes(image[0x3C:0x40], "little")
        assert int.from_bytes(image[header + 24 + 112 + 4 * 8 + 4 :][:4], "little") > 0


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../etc/passwd", "ipxe/../x", "ipxe/undionly.kpxe/"])
def test_only_names_of_the_table_are_loaders(name: str) -> None:
    assert find_loader(name) is None
