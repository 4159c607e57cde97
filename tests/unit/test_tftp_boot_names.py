from __future__ import annotations

import os
import struct
import zlib
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.model.event import EventKind
from netboot.model.image import Artefact, Version
from netboot.model.request import ANY_ARCH, Arch, Firmware, Stage
from netboot.model.san import EXAMPLE, SanUri
from netboot.model.target import DeniedTarget, SanTarget
from netboot.tftp.content import BootFile, Meaning, Missing
from tests.kit import MAC, make_target, make_version
from tests.names_kit import PEER, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        b"pxelinux/pxelinux.cfg/01-52-54-00-00-00-01",
        b"/pxelinux/pxelinux.cfg/01-52-54-00-00-00-01",
    ],
)
def test_pxelinux_gets_its_configuration(home: Home, name: bytes) -> None:
    assert "KERNEL http://10.9.0.1:8080/boot/52-54-00-00-00-01/debian/1/vmlinuz" in home.text(name)
    (asked,) = home.asked
    assert (asked.mac, asked.arch, asked.address) == (MAC, ANY_ARCH, PEER)


@pytest.mark.parametrize("name", [b"grub/grub.cfg-01-52-54-00-00-00-01", b"/grub/grub.cfg-01-52-54-00-00-00-01"])
def test_grub_gets_its_configuration(home: Home, name: bytes) -> None:
    assert "linux (tftp,10.9.0.1)/boot/52-54-00-00-00-01/debian/1/vmlinuz" in home.text(name)


@pytest.mark.parametrize(
    "name",
    [
        *(b"01-52-54-00-00-00-01", b"pxelinux.cfg/01-52-54-00-00-00-01", b"pxelinux.cfg/0A090032"),
        *(b"pxelinux.cfg/default-arm-qemu-arm-qemu-arm", b"pxelinux.cfg/default-arm", b"pxelinux.cfg/default"),
    ],
)
def test_uboot_finds_its_script_and_fetches_by_tftp(home: Home, name: bytes) -> None:
    """Rule 6.23: the names of its search, each by the client's or the sender's address; no HTTP in the text."""
    home.owners[PEER] = MAC
    text = home.text(name)
    assert "KERNEL /boot/52-54-00-00-00-01/debian/1/vmlinuz\n" in text
    assert "http://10.9.0.1:8080/boot/52-54-00-00-00-01/debian" not in text
    (asked,) = home.asked
    assert (asked.mac, asked.firmware, asked.arch) == (MAC, Firmware.UBOOT, ANY_ARCH)


@pytest.mark.parametrize(
    "name",
    [
        *(b"pxelinux.cfg/564d0000-0000-0000-0000-000000000001", b"pxelinux.cfg/0A090033", b"pxelinux.cfg/0A0900"),
        *(b"dtb/qemu-arm.dtb", b"dtb/", b"pxelinux.cfg/01-52-54-00-00-00-0", b"01-ff-ff-ff-ff-ff-ff"),
    ],
)
def test_uboot_goes_on_with_its_search_where_a_name_is_nobodys(home: Home, name: bytes) -> None:
    home.owners[PEER] = MAC
    assert home.names.open(name, PEER) == Missing()
    assert home.asked == []


def test_uboot_is_told_to_search_by_the_script_that_it_looks_for_first(home: Home) -> None:
    """A script image as mkimage makes it: U-Boot's source command checks magic, both sums and the kind."""
    assert home.names.open(b"boot.scr.uimg", PEER) == Missing()
    home.owners[PEER] = MAC
    found = home.names.open(b"boot.scr.uimg", PEER)
    assert isinstance(found, BootFile)
    assert isinstance(found.content, bytes)
    assert found.meaning is None
    header, content = found.content[:64], found.content[64:]
    magic, header_sum, _, size, _, _, content_sum, _, _, kind, packed = struct.unpack(">7I4B", header[:32])
    assert (magic, kind, packed) == (0x27051956, 6, 0)
    assert (size, content_sum) == (len(content), zlib.crc32(content))
    assert header_sum == zlib.crc32(header[:4] + bytes(4) + header[8:])
    assert struct.unpack(">2I", content[:8]) == (len(content) - 8, 0)
    assert content[8:] == b"echo netboot: looking for the script of 52:54:00:00:00:01\npxe get && pxe boot\n"


@pytest.mark.parametrize(
    "name", [b"autoexec.ipxe", b"/ipxe/autoexec.ipxe", b"ipxe/arm64/autoexec.ipxe", b"ipxe\\autoexec.ipxe"]
)
def test_ipxe_finds_its_script_beside_itself_and_at_the_root(home: Home, name: bytes) -> None:
    """Rule 2.19: a chained iPXE may use the ACK that its firmware got, and never ask by DHCP where its script is."""
    assert home.names.open(name, PEER) == Missing()
    home.owners[PEER] = MAC
    assert home.text(name).startswith("#!ipxe\n")
    (asked,) = home.asked
    assert (asked.mac, asked.firmware, asked.stage) == (MAC, Firmware.IPXE, Stage.LOADER)
    found = home.names.open(name, PEER)
    assert isinstance(found, BootFile)
    assert found.meaning == Meaning(kind=EventKind.SCRIPT_SENT, mac=MAC, details={"loader": "ipxe"})


@pytest.mark.parametrize("folder", [b"10000000deadbeef"[8:], b"52-54-00-00-00-01", b"/DEADBEEF"])
def test_a_raspberry_pi_has_a_folder_of_its_own(home: Home, tmp_path: Path, folder: bytes) -> None:
    """Rule 6.24: serial number or MAC address before each name, as the board's EEPROM says."""
    (tmp_path / "vmlinuz").write_text("the kernel")
    image = make_target()
    kernel = Artefact(path=tmp_path / "vmlinuz", size_bytes=10, digest=image.version.digest)
    home.target = replace(image, version=replace(image.version, kernel=kernel), kernel_args=("quiet",))
    home.owners[PEER] = MAC
    assert home.text(folder + b"/start4.elf") == "firmware"
    assert home.text(folder + b"/overlays/disable-bt.dtbo") == "firmware"
    assert "kernel=vmlinuz\ninitramfs initrd.img followkernel\n" in home.text(folder + b"/config.txt")
    cmdline = home.text(folder + b"/cmdline.txt")
    assert cmdline.count("\n") == 1
    assert " netboot.root=nfs:10.9.0.1:/srv/debian " in cmdline
    assert cmdline.endswith(" quiet\n")
    assert home.text(folder + b"/vmlinuz") == "the kernel"
    assert {each.arch for each in home.asked} == {Arch.RASPBERRY_PI}


def numbered(folder: Path, number: int, image: str = "debian") -> Version:
    """A version whose kernel says which it is."""
    file = folder / f"{image}-{number}"
    file.write_text(f"kernel of {image}:{number}")
    version = make_version(image, number)
    return replace(version, kernel=replace(version.kernel, path=file))


def test_a_version_published_between_a_boards_files_does_not_mix(home: Home, tmp_path: Path) -> None:
    """Their names do not say of which version they are; a board that asks for nothing for a while begins anew."""
    home.owners[PEER] = MAC
    home.target = replace(make_target(), version=numbered(tmp_path, 1))
    home.text(b"deadbeef/config.txt")
    home.target = replace(make_target(), version=numbered(tmp_path, 2))
    for _ in range(5):
        home.now += 20
        assert home.text(b"deadbeef/vmlinuz") == "kernel of debian:1"
    home.now += 31
    assert home.text(b"deadbeef/vmlinuz") == "kernel of debian:2"


def test_what_a_script_named_is_there_though_another_version_was_published_since(home: Home, tmp_path: Path) -> None:
    one, two = numbered(tmp_path, 1), numbered(tmp_path, 2)
    home.published = {each.label: each for each in (one, two, numbered(tmp_path, 1, "secret"))}
    home.target = replace(make_target(), version=two)
    path = f"boot/{MAC.dashed}".encode()
    assert home.text(path + b"/debian/1/vmlinuz") == "kernel of debian:1"
    assert home.text(path + b"/debian/2/vmlinuz") == "kernel of debian:2"
    assert home.names.open(path + b"/debian/3/vmlinuz", PEER) == Missing()
    assert home.names.open(path + b"/secret/1/vmlinuz", PEER) == Missing()
    home.target = DeniedTarget(mac=MAC, reason="no image", hint="assign one", known=True)
    assert home.names.open(path + b"/debian/1/vmlinuz", PEER) == Missing()


@pytest.mark.parametrize("file", [b"start4.elf", b"config.txt", b"cmdline.txt", b"vmlinuz", b"initrd.img"])
@pytest.mark.parametrize("folder", [b"deadbeef/", b"52-54-00-00-00-01/"])
def test_a_board_that_boots_nothing_finds_nothing(home: Home, folder: bytes, file: bytes) -> None:
    """ERROR 1 decides whether the board takes its folder for there."""
    home.owners[PEER] = MAC
    home.target = DeniedTarget(mac=MAC, reason="no image", hint="assign one", known=True)
    assert home.names.open(folder + file, PEER) == Missing()


@pytest.mark.parametrize(
    "name",
    [
        *(b"deadbeef/recovery.elf", b"deadbeef/bootcode.bin", b"deadbeef/", b"deadbee/start4.elf", b"start4.elf"),
        *(b"ff-ff-ff-ff-ff-ff/start4.elf", b"bootcode.bin", b"bootsig.bin", b"deadbeef/deadbeef/start4.elf"),
    ],
)
def test_what_a_board_asks_besides_is_missing(home: Home, name: bytes) -> None:
    home.owners[PEER] = MAC
    assert home.names.open(name, PEER) == Missing()


def test_a_boards_programs_are_its_loader_and_its_configuration_the_script(home: Home) -> None:
    home.owners[PEER] = MAC
    told = []
    for file in (b"start4.elf", b"overlays/disable-bt.dtbo", b"config.txt", b"cmdline.txt"):
        found = home.names.open(b"deadbeef/" + file, PEER)
        assert isinstance(found, BootFile)
        told.append(found.meaning and (found.meaning.kind, found.meaning.mac))
        if isinstance(found.content, int):
            os.close(found.content)
    assert told == [(EventKind.LOADER_SENT, MAC), None, (EventKind.SCRIPT_SENT, MAC), None]


@pytest.mark.parametrize("name", [b"/grub/grub.cfg", b"pxelinux/pxelinux.cfg/default"])
def test_a_name_without_an_address_means_whose_lease_it_is(home: Home, name: bytes) -> None:
    assert isinstance(home.names.open(name, PEER), Missing)
    home.owners[PEER] = MAC
    assert "52-54-00-00-00-01" in home.text(name)


@pytest.mark.parametrize(
    "name",
    [
        b"pxelinux.cfg/01-ff-ff-ff-ff-ff-ff",
        b"pxelinux/pxelinux.cfg/0A090032",
        b"pxelinux.cfg/564d0000-0000-0000-0000-000000000001",
        b"grub/x86_64-efi/command.lst",
        b"revocations.efi",
        b"\xff",
        b"..",
    ],
)
def test_what_loaders_try_besides_is_missing(home: Home, name: bytes) -> None:
    assert isinstance(home.names.open(name, PEER), Missing)
    assert home.asked == []


def test_a_text_stays_the_same_for_half_a_minute(home: Home) -> None:
    """Rule 4.33: the size that was promised is the size that is read."""
    name = b"pxelinux.cfg/01-52-54-00-00-00-01"
    first = home.text(name)
    home.target = DeniedTarget(mac=MAC, reason="taken away", hint="ask", known=True)
    home.now = 29.0
    assert home.text(name) == first
    assert "taken away" in home.text(name, IPv4Address("10.9.0.51"))
    home.now = 31.0
    assert "taken away" in home.text(name)


def test_what_a_transfer_will_mean(home: Home) -> None:
    name = b"pxelinux.cfg/01-52-54-00-00-00-01"
    script = home.names.open(name, PEER)
    home.target = DeniedTarget(mac=MAC, reason="no image", hint="assign one", known=True)
    refusal = home.names.open(b"grub/grub.cfg-01-52-54-00-00-00-01", PEER)
    assert isinstance(script, BootFile)
    assert script.meaning is not None
    assert (script.meaning.kind, script.meaning.mac) == (EventKind.SCRIPT_SENT, MAC)
    assert isinstance(refusal, BootFile)
    assert refusal.meaning is not None
    assert refusal.meaning.kind is EventKind.DENIED
    assert refusal.meaning.details == {"reason": "no image", "hint": "assign one"}


SAN = SanTarget(mac=MAC, hostname="lab-01", san=SanUri.parse(EXAMPLE), reason="test")


@pytest.mark.parametrize(
    "name", [b"pxelinux.cfg/01-52-54-00-00-00-01", b"grub/grub.cfg-01-52-54-00-00-00-01", b"boot.scr.uimg"]
)
def test_who_boots_from_a_disk_of_another_server_is_told_that_ipxe_alone_can(home: Home, name: bytes) -> None:
    home.owners[PEER] = MAC
    home.target = SAN
    found = home.names.open(name, PEER)
    assert isinstance(found, BootFile)
    if b"boot.scr" in name:
        assert found.meaning is None  # it only looks for the script that is the refusal
        return
    assert "which iPXE alone can" in home.text(name)
    assert found.meaning is not None
    assert found.meaning.kind is EventKind.DENIED
    assert home.names.open(f"boot/{MAC.dashed}/debian/1/vmlinuz".encode(), PEER) == Missing()


@pytest.mark.parametrize("file", [b"start4.elf", b"config.txt", b"vmlinuz"])
def test_a_board_is_not_sent_what_ipxe_would_boot(home: Home, file: bytes) -> None:
    home.owners[PEER] = MAC
    home.target = SAN
    assert home.names.open(b"deadbeef/" + file, PEER) == Missing()


@pytest.mark.parametrize(("file", "kind"), [("vmlinuz", EventKind.KERNEL_SENT), ("initrd.img", EventKind.INITRD_SENT)])
def test_grub_gets_kernel_and_initrd_by_tftp(home: Home, tmp_path: Path, file: str, kind: EventKind) -> None:
    image = make_target()
    content = tmp_path / file
    content.write_text(f"the {file}")
    kept = Artefact(path=content, size_bytes=content.stat().st_size, digest=image.version.digest)
    home.target = replace(image, version=replace(image.version, kernel=kept, initrd=kept))
    name = f"/boot/{MAC.dashed}/debian/1/{file}".encode()
    assert home.text(name) == f"the {file}"
    found = home.names.open(name, PEER)
    assert isinstance(found, BootFile)
    assert isinstance(found.content, int)
    os.close(found.content)
    assert found.meaning == Meaning(kind=kind, mac=MAC, details={"file": file, "version": "debian:1"})


@pytest.mark.parametrize(
    "name",
    [
        b"boot/52-54-00-00-00-01/debian/2/vmlinuz",
        b"boot/52-54-00-00-00-01/other/1/vmlinuz",
        b"boot/52-54-00-00-00-01/debian/1/root.ext4",
        b"boot/52-54-00-00-00-01/debian/01/vmlinuz",
        b"boot/debian/1/vmlinuz",
        b"boot/53-54-00-00-00-01/debian/1/vmlinuz",  # no single machine has a group address
    ],
)
def test_a_version_that_the_client_does_not_boot_is_not_to_be_had(home: Home, name: bytes) -> None:
    assert isinstance(home.names.open(name, PEER), Missing)


def test_loaders_and_own_files(home: Home) -> None:
    assert home.text(b"ipxe/undionly.kpxe") == "loader"
    assert home.text(b"/ipxe/undionly.kpxe\xff") == "loader"
    assert home.text(b"own") == "own"
