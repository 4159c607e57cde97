from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot.loaderfiles import PACKAGED, LoaderFiles, loader_files, named_loaders
from netboot.boot.loaders import LOADERS, PI_FIRMWARE, boot_file, starts
from netboot.config import parse_config
from netboot.config.paths import DataDir
from netboot.errors import InvalidInput
from netboot.model.loader import Loader, LoaderChoice, LoaderFile, parse_loader
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.san import EXAMPLE, SanUri
from netboot.model.target import BootTarget, DeniedTarget, LocalTarget, MenuTarget, SanTarget
from tests.kit import MAC, make_target

SERVER = IPv4Address("10.9.0.1")
MINE = LoaderFile("ipxe/mine.efi")
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
        (Stage.FIRMWARE, Firmware.UEFI, Arch.ARM64_UEFI, LoaderChoice.GRUB, "grub/shimaa64.efi"),
        (Stage.FIRMWARE, Firmware.UEFI_HTTP, Arch.X64_HTTP, LoaderChoice.GRUB, None),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.X64_UEFI, LoaderChoice.PXELINUX, None),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.PPC_OPAL, LoaderChoice.AUTO, None),
        (Stage.FIRMWARE, Firmware.UBOOT, Arch.ARM64_UBOOT, LoaderChoice.AUTO, "01-52-54-00-00-00-01"),
        (Stage.FIRMWARE, Firmware.UBOOT, Arch.ARM64_UBOOT, LoaderChoice.GRUB, None),
        (Stage.FIRMWARE, Firmware.RASPBERRY_PI, Arch.RASPBERRY_PI, LoaderChoice.AUTO, "bootcode.bin"),
        (Stage.FIRMWARE, Firmware.UNKNOWN, 4711, LoaderChoice.AUTO, None),
        # One file by name goes to every architecture that asks, but not to an iPXE that speaks its language.
        (Stage.FIRMWARE, Firmware.BIOS, Arch.BIOS, MINE, "ipxe/mine.efi"),
        (Stage.FIRMWARE, Firmware.UEFI_HTTP, Arch.X64_HTTP, MINE, "http://10.9.0.1:8080/loader/ipxe/mine.efi"),
        (Stage.FIRMWARE, Firmware.UNKNOWN, 4711, MINE, "ipxe/mine.efi"),
        (Stage.LOADER, Firmware.IPXE, Arch.X64_UEFI, MINE, SCRIPT),
        (Stage.LOADER, Firmware.IPXE, Arch.X64_UEFI, LoaderFile("memtest.efi"), "memtest.efi"),
    ],
)
def test_who_asks_decides_the_file(
    stage: Stage, firmware: Firmware, arch: int, choice: Loader, expected: str | None
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


@pytest.mark.parametrize(
    ("stage", "firmware", "arch", "expected"),
    [
        (Stage.FIRMWARE, Firmware.BIOS, Arch.BIOS, "ipxe/undionly.kpxe"),
        (Stage.FIRMWARE, Firmware.UEFI, Arch.X64_UEFI, "ipxe/snponly.efi"),
        (Stage.LOADER, Firmware.IPXE, Arch.X64_UEFI, SCRIPT),
    ],
)
def test_who_boots_from_a_disk_of_another_server_gets_ipxe_and_its_script(
    stage: Stage, firmware: Firmware, arch: int, expected: str
) -> None:
    target = SanTarget(mac=MAC, hostname="a", san=SanUri.parse(EXAMPLE), reason="test")
    assert named(stage, firmware, arch, target) == expected


@pytest.mark.parametrize("choice", LoaderChoice)
@pytest.mark.parametrize("arch", [ANY_ARCH, *Arch])
def test_a_family_that_does_not_start_a_machine_names_it_no_file(choice: LoaderChoice, arch: int) -> None:
    name = named(Stage.FIRMWARE, Firmware.UEFI, arch, make_target(choice))
    if arch != ANY_ARCH:
        assert name is None or starts(choice, arch)
    else:
        assert starts(choice, arch)


def test_every_architecture_of_the_registry_has_its_row() -> None:
    assert set(LOADERS) == set(Arch)
    assert sorted(Arch) == list(range(42))


def test_shim_finds_grub_beside_itself() -> None:
    files = LoaderFiles()
    shim, grub = files.find("grub/shimx64.efi"), files.find("grub/grubx64.efi")
    assert shim is not None, "apt-get install shim-signed"
    assert grub is not None, "apt-get install grub-efi-amd64-signed"
    # The signature table, entry 4 of the data directories of a PE32+ file, is not empty.
    for file in (shim, grub):
        image = file.read_bytes()
        header = int.from_bytes(image[0x3C:0x40], "little")
        assert int.from_bytes(image[header + 24 + 112 + 4 * 8 + 4 :][:4], "little") > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder, with a secret beside it."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "loaders"
    (folder / "ipxe").mkdir(parents=True)
    (folder / "ipxe/mine.efi").write_text("mine")
    (folder / "ipxe/snponly.efi").write_text("mine, too")
    (folder / "ipxe/link.efi").symlink_to("mine.efi")
    (folder / "ipxe/out.efi").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "ipxe/fifo")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../secret", "ipxe/../../secret", "ipxe/undionly.kpxe/", "ipxe", "ipxe/fifo"),
        *("ipxe/out.efi", "up/secret", "ipxe/.hidden", "ipxe//mine.efi", "none.efi", "ipxe/mine.efi\0", "a" * 5000),
    ],
)
def test_what_is_no_loader(folder: Path, name: str) -> None:
    assert LoaderFiles(folder).find(name) is None
    assert LoaderFiles(None).find(name) is None


def test_the_operators_files_come_before_those_of_packages(folder: Path) -> None:
    files = LoaderFiles(folder)
    assert files.find("ipxe/mine.efi") == folder / "ipxe/mine.efi"
    assert files.find("ipxe/link.efi") == folder / "ipxe/mine.efi"
    assert files.find("ipxe/snponly.efi") == folder / "ipxe/snponly.efi"
    assert files.find("ipxe/undionly.kpxe") == PACKAGED["ipxe/undionly.kpxe"]


def test_a_loader_that_is_put_there_is_noticed_soon(folder: Path) -> None:
    now = 0.0
    files = LoaderFiles(folder, clock=lambda: now)
    assert not files.has("ipxe/arm32/snponly.efi")
    (folder / "ipxe/arm32").mkdir()
    (folder / "ipxe/arm32/snponly.efi").touch()
    assert not files.has("ipxe/arm32/snponly.efi")
    now = 1.0
    assert files.has("ipxe/arm32/snponly.efi")


def test_what_is_missing_is_told_with_its_remedy(folder: Path) -> None:
    missing = LoaderFiles(folder).missing(["ipxe/mine.efi", "ipxe/riscv64/snponly.efi", "ipxe/ipxe.pxe", PI_FIRMWARE])
    assert missing == {
        "ipxe/riscv64/snponly.efi": f"put the file into {folder}",
        PI_FIRMWARE: "install raspi-firmware and set tftp.pi_firmware to its folder",
    }
    assert "package of /usr/lib/ipxe/undionly.kpxe" in LoaderFiles(folder).remedy("ipxe/undionly.kpxe")


def test_a_raspberry_pis_firmware_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / PI_FIRMWARE).touch()
    assert not LoaderFiles().has(PI_FIRMWARE)
    assert LoaderFiles(pi_firmware=tmp_path).has(PI_FIRMWARE)
    assert LoaderFiles(pi_firmware=tmp_path).find(PI_FIRMWARE) is None


def test_where_loaders_lie(folder: Path, tmp_path: Path) -> None:
    assert loader_files(parse_config(""), DataDir(tmp_path)).find("ipxe/mine.efi") == folder / "ipxe/mine.efi"
    elsewhere = parse_config(f'loaders_dir = "{folder}/ipxe"')
    assert loader_files(elsewhere, DataDir(tmp_path)).find("mine.efi") == folder / "ipxe/mine.efi"


def test_the_loaders_that_are_named_somewhere() -> None:
    config = parse_config(
        'loaders = { bios = "a.pxe" }\n[boot]\nloader = "b.efi"\n'
        '[profile.x]\nloader = "c.efi"\nloaders = { ebc = "d.efi", x64-uefi = "grub" }'
    )
    named = named_loaders(config, [LoaderChoice.AUTO, LoaderFile("e.efi")])
    assert named == {"a.pxe", "b.efi", "c.efi", "d.efi", "e.efi"}


@pytest.mark.parametrize("text", ["lilo", "", "GRUB", "../x.efi", "/x.efi", "x y.efi", "a/.b", "a//b", "x.efi\n"])
def test_what_cannot_be_named_as_a_loader(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_loader(text)


@pytest.mark.parametrize("text", [*LoaderChoice, "ipxe/snponly.efi", "x.efi", "a/b"])
def test_loaders_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_loader(text)) == text
