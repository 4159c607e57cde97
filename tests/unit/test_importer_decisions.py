"""What an import decides by looking: formats, partitions, file systems, kernels, generators, sizes."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from netboot.errors import InvalidInput
from netboot.images.importer.detect import Compression, Format, compression_of, detect
from netboot.images.importer.elf import arch_of
from netboot.images.importer.filesystems import ReadAt, look
from netboot.images.importer.from_disk import parts_of
from netboot.images.importer.generators import check_packages, choose_generator
from netboot.images.importer.kernels import choose_kernel, kernel_files
from netboot.images.importer.partitions import partitions
from netboot.images.importer.qcow2 import virtual_size
from netboot.images.importer.source import identify
from netboot.images.packages import parse_packages
from netboot.images.sizing import fitting_size
from netboot.model.sizes import parse_size
from netboot.system.machine import native_arch

MIB = 1 << 20


def reader(data: bytes) -> ReadAt:
    return lambda offset, count: data[max(offset, 0) :][:count] if offset >= 0 else b""


# -- formats


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["gzip", "-c"], Compression.GZIP),
        (["xz", "-c"], Compression.XZ),
        (["zstd", "-qc"], Compression.ZSTD),
        (["bzip2", "-c"], Compression.BZIP2),
        (["cat"], None),
    ],
)
def test_compressions_are_told_by_what_their_programs_write(argv: list[str], wanted: Compression | None) -> None:
    assert compression_of(subprocess.run(argv, input=b"x" * 1000, capture_output=True, check=True).stdout) is wanted


@pytest.mark.parametrize(
    ("head", "what"),
    [(b"KDMV", "VMware"), (b"PK\3\4", "zip"), (b"vhdxfile", "Hyper-V"), (b"!<arch>\n", "Debian package"),
     (b"070701", "cpio"), (b"", "unknown"), (b"hello", "unknown"), (bytes(64) + b"\x7f\x10\xda\xbe", "VirtualBox")],
)  # fmt: skip
def test_what_cannot_be_imported_is_named(head: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=what) as caught:
        detect(head, is_disk=False)
    assert caught.value.hint


def test_sources_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("x")
    layout = tmp_path / "layout"
    layout.mkdir()
    for name in ("oci-layout", "index.json"):
        (layout / name).write_text("{}")
    (layout / "blobs").mkdir()
    tar = tmp_path / "system.tar.xz"
    subprocess.run(["tar", "-C", tmp_path, "-cJf", tar, "folder"], check=True)
    archive = tmp_path / "misleading.qcow2"
    subprocess.run(["tar", "-C", layout, "-cf", archive, "blobs", "index.json", "oci-layout"], check=True)
    docker = tmp_path / "docker.tar"
    (tmp_path / "manifest.json").write_text("[]")
    subprocess.run(["tar", "-C", tmp_path, "-cf", docker, "manifest.json"], check=True)
    disk = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    packed = tmp_path / "disk.gz"
    packed.write_bytes(subprocess.run(["gzip", "-c", disk], capture_output=True, check=True).stdout)

    found = [identify(each) for each in (tmp_path / "folder", layout, tar, archive, disk)]
    assert found == [Format.DIRECTORY, Format.OCI, Format.TAR, Format.OCI, Format.QCOW2]
    assert identify(layout, Format.DIRECTORY) is Format.DIRECTORY
    assert identify(disk, Format.RAW) is Format.RAW
    for source, told in (
        (docker, "docker save"),
        (packed, "compressed with gzip"),
        (Path("/dev/null"), "neither a file"),
        (tmp_path / "manifest.json", "unknown"),
    ):
        with pytest.raises(InvalidInput, match=told):
            identify(source)
    with pytest.raises(InvalidInput, match="not tar"):
        identify(tmp_path / "folder", Format.TAR)


def test_a_compressed_source_that_is_cut_off_is_no_unknown_format(tmp_path: Path) -> None:
    for argv in (["gzip", "-c"], ["xz", "-c"]):
        data = subprocess.run(argv, input=random.Random(1).randbytes(5000), capture_output=True, check=True).stdout
        (tmp_path / "x").write_bytes(data[:40])
        with pytest.raises(InvalidInput):
            identify(tmp_path / "x")


# -- disks


def table(disk: Path, script: str, size: int = 64 * MIB) -> Path:
    with disk.open("wb") as file:
        file.truncate(size)
    subprocess.run(["sfdisk", "-q", disk], input=script, text=True, check=True, capture_output=True)
    return disk


def read_of(disk: Path) -> ReadAt:
    return reader(disk.read_bytes())


def test_partitions_are_those_that_sfdisk_made(tmp_path: Path) -> None:
    gpt = table(tmp_path / "gpt", "label: gpt\nsize=1M, type=U, name=esp\nsize=8M, name=größe\n,\n")
    found = partitions(read_of(gpt), 64 * MIB)
    assert [(each.number, each.offset, each.size_bytes) for each in found[:2]] == [(1, MIB, MIB), (2, 2 * MIB, 8 * MIB)]
    assert found[0].type == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
    assert found[1].name == "größe"
    assert len(found) == 3

    sizes = {1: "size=4M, type=83", 2: "size=30M, type=5", 5: "size=5M", 6: "size=6M", 7: "size=7M"}
    script = "".join(f"{tmp_path}/mbr{number} : {size}\n" for number, size in sizes.items())
    mbr = table(tmp_path / "mbr", f"label: dos\n{script}")
    listed = subprocess.run(["sfdisk", "-d", mbr], capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"mbr(\d+) : start= *(\d+), size= *(\d+)", listed)
    wanted = [(int(number), int(start) * 512, int(count) * 512) for number, start, count in lines if number != "2"]
    assert [number for number, _, _ in wanted] == [1, 5, 6, 7]
    assert [(each.number, each.offset, each.size_bytes) for each in partitions(read_of(mbr), 64 * MIB)] == wanted


def test_the_second_copy_of_a_gpt_serves_when_the_first_is_damaged(tmp_path: Path) -> None:
    disk = table(tmp_path / "gpt", "label: gpt\nsize=8M\n,\n")
    whole = disk.read_bytes()
    for damaged in (512, 600, 1024 + 40):
        data = bytearray(whole)
        data[damaged] ^= 0xFF
        assert partitions(reader(bytes(data)), len(data)) == partitions(reader(whole), len(whole))
    data = bytearray(whole)
    data[512] = data[-512] = 0
    with pytest.raises(InvalidInput, match="damaged, both copies"):
        partitions(reader(bytes(data)), len(data))


def test_a_gpt_of_4096_byte_sectors_is_read() -> None:
    data = bytearray(1 << 20)
    data[510:512], data[450] = b"\x55\xaa", 0xEE
    entries = bytearray(128 * 4)
    entries[:16], entries[32:40], entries[40:48] = b"\1" * 16, (16).to_bytes(8, "little"), (31).to_bytes(8, "little")
    header = bytearray(92)
    header[:8], header[12:16] = b"EFI PART", (92).to_bytes(4, "little")
    header[72:80], header[80:84] = (2).to_bytes(8, "little"), (4).to_bytes(4, "little")
    header[84:88], header[88:92] = (128).to_bytes(4, "little"), zlib.crc32(entries).to_bytes(4, "little")
    header[16:20] = zlib.crc32(header).to_bytes(4, "little")
    data[4096 : 4096 + 92], data[8192 : 8192 + 512] = header, entries
    (found,) = partitions(reader(bytes(data)), len(data))
    assert (found.offset, found.size_bytes) == (16 * 4096, 16 * 4096)


def test_a_chain_of_logical_partitions_that_goes_in_a_circle_ends(tmp_path: Path) -> None:
    name = tmp_path / "mbr"
    disk = table(name, f"label: dos\n{name}1 : size=40M, type=5\n{name}5 : size=4M\n{name}6 : size=4M\n")
    data = bytearray(disk.read_bytes())
    extended = int.from_bytes(data[454:458], "little") * 512
    second = data[extended + 462 : extended + 478]
    at = extended + int.from_bytes(second[8:12], "little") * 512
    data[at + 462 : at + 478] = second
    with pytest.raises(InvalidInput, match="circle"):
        partitions(reader(bytes(data)), len(data))


@pytest.mark.parametrize("seed", range(200))
def test_no_bytes_make_the_readers_of_disks_fail(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(rng.randbytes(4096) + bytes(70_000))
    data[510:512] = b"\x55\xaa"
    for index in range(4):
        data[446 + 16 * index] = rng.choice((0, 0x80))
        data[446 + 16 * index + 4] = rng.choice((0, 5, 0x83, 0xEE))
        data[446 + 16 * index + 8 : 446 + 16 * index + 16] = bytes((rng.randrange(8), 0, 0, 0) * 2)
    data[512:520] = b"EFI PART"
    try:
        for each in partitions(reader(bytes(data)), len(data)):
            look(reader(bytes(data)), each.offset)
    except InvalidInput:
        pass


@pytest.mark.parametrize(
    ("argv", "label"),
    [
        (["mkfs.ext4", "-q", "-F"], "ext4"),
        (["mkfs.ext2", "-q", "-F"], "ext4"),
        (["mkfs.xfs", "-q", "-f"], "xfs"),
        (["mkfs.btrfs", "-q", "-f"], "btrfs"),
        (["mkswap", "-q"], "swap"),
    ],
)
def test_file_systems_are_told_by_what_their_programs_make(tmp_path: Path, argv: list[str], label: str) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(320 * MIB)
    subprocess.run([*argv, disk], check=True, capture_output=True)
    with disk.open("rb") as file:
        (part,) = parts_of(file.fileno())
    assert (part.label, part.partition.number) == (label, 0)
    assert (part.found.filesystem is not None) == (label != "swap")


@pytest.mark.parametrize(
    ("at", "mark", "label", "hint"),
    [(536, b"LVM2 001", "LVM", "vgchange"), (0, b"LUKS\xba\xbe", "encrypted", "open"), (0, b"", "unknown", None)],
)
def test_what_is_not_supported_says_what_to_do(at: int, mark: bytes, label: str, hint: str | None) -> None:
    found = look(reader(bytes(at) + mark + bytes(4096)))
    assert label in found.label
    assert hint is None or hint in (found.hint or "")


def test_a_disk_that_would_open_other_files_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(MIB))
    make = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*make, tmp_path / "alone", "1G"], check=True)
    subprocess.run([*make, "-b", secret, "-F", "raw", tmp_path / "backed"], check=True)
    subprocess.run([*make, "-o", f"data_file={tmp_path}/data", tmp_path / "outside", "1M"], check=True)
    assert virtual_size((tmp_path / "alone").read_bytes()) == 1 << 30
    for name, told in (("backed", "only the changes"), ("outside", "in another file")):
        with pytest.raises(InvalidInput, match=told) as caught:
            virtual_size((tmp_path / name).read_bytes())
        assert "qemu-img convert" in (caught.value.hint or "")
    with pytest.raises(InvalidInput, match="broken"):
        virtual_size(b"QFI\xfb" + bytes(10))


# -- the system


def test_the_newest_kernel_is_taken_unless_another_is_named() -> None:
    found = kernel_files(
        ["config-6.1.0-9", "vmlinuz-6.1.0-9", "vmlinuz-6.1.0-10", "vmlinuz-0-rescue-1234", "initrd.img-6.1.0-9"],
        ["6.1.0-10", "5.9.1-fedora"],
    )
    assert [kernel.version for kernel in found] == ["6.1.0-9", "6.1.0-10", "5.9.1-fedora"]
    assert choose_kernel(found, wanted=None, hint="").version == "6.1.0-10"
    assert choose_kernel(found, wanted="5.9.1-fedora", hint="").place == "usr/lib/modules/5.9.1-fedora/vmlinuz"
    assert not choose_kernel(found, wanted="5.9.1-fedora", hint="").in_boot
    with pytest.raises(InvalidInput, match=r"no kernel 7\.0"):
        choose_kernel(found, wanted="7.0", hint="")
    with pytest.raises(InvalidInput) as caught:
        choose_kernel((), wanted=None, hint="add --packages linux-image-amd64")
    assert caught.value.hint == "add --packages linux-image-amd64"


def test_generators_are_found_and_others_named() -> None:
    there = {"usr/sbin/mkinitramfs", "usr/bin/dracut"}
    generator = choose_generator(there.__contains__, uses_apt=True)
    assert generator.make("6.1", "/boot/initrd.img-6.1") == ("mkinitramfs", "-o", "/boot/initrd.img-6.1", "6.1")
    assert choose_generator({"usr/bin/dracut"}.__contains__, uses_apt=False).name == "dracut"
    with pytest.raises(InvalidInput, match="mkinitcpio, and only initramfs-tools or dracut"):
        choose_generator({"usr/bin/mkinitcpio"}.__contains__, uses_apt=False)
    with pytest.raises(InvalidInput, match="no program") as caught:
        choose_generator(set[str]().__contains__, uses_apt=True)
    assert "--packages" in (caught.value.hint or "")
    check_packages(generator, {*generator.packages, "more"})
    check_packages(generator, ())
    with pytest.raises(InvalidInput, match="lacks nfs-common") as caught:
        check_packages(generator, set(generator.packages) - {"nfs-common"})
    assert caught.value.hint == "install them with --packages nfs-common"


def test_a_program_tells_for_which_machines_it_is() -> None:
    assert arch_of(Path(sys.executable).resolve().read_bytes()[:20]) == native_arch()
    arm = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\xb7\0"
    assert arch_of(arm) == "arm64"
    assert arch_of(b"#!/bin/sh\n" + bytes(20)) is None
    assert arch_of(b"\x7fELF") is None


def test_packages_are_those_that_are_installed() -> None:
    listed = "installed a 1.0-1\nconfig-files b 2\ninstalled c:any 1:3~rc\n\nnonsense\n"
    assert parse_packages(listed) == {"a": "1.0-1", "c:any": "1:3~rc"}


def test_a_file_system_is_made_with_room() -> None:
    assert fitting_size(0, 0) == 256 * MIB
    assert fitting_size(600 * MIB, 15_000) >= 800 * MIB
    assert fitting_size(600 * MIB, 1_000_000) >= 1_000_000 * 16384
    assert fitting_size(600 * MIB, 15_000) % (64 * MIB) == 0


@pytest.mark.parametrize(("text", "size"), [("1500M", 1500 * MIB), ("4G", 4 << 30), ("1T", 1 << 40), ("8K", 8192)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "4", "0G", "-4G", "4g", "4 G", "1.5G", "9999999999G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no size"):
        parse_size(text)
