"""Importing what other tools made: archives, folders, disks with and without partitions."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from netboot.errors import InvalidInput
from tests.import_kit import MIB, TAR, blank, fill, make_filesystem, make_rich_system, mounted, told


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return make_rich_system(tmp_path / "system")


@pytest.mark.parametrize("how", ["", "-z", "-J", "-j", "--zstd", "-S", "bsdtar"])
def test_a_tar_is_imported_as_it_is(system: Path, tmp_path: Path, how: str) -> None:
    argv = ["bsdtar", "--format=pax", "--numeric-owner"] if how == "bsdtar" else [*TAR, *([how] if how else [])]
    subprocess.run([*argv, "-C", system, "-cf", tmp_path / "a.tar", "."], check=True)
    tree, _ = fill(tmp_path / "a.tar", tmp_path)
    assert told(tree) == told(system)


def test_a_folder_is_imported_but_for_what_is_mounted_in_it(system: Path, tmp_path: Path) -> None:
    (system / "proc").mkdir()
    tree, _ = fill(system, tmp_path)
    assert told(tree) == told(system)
    with mounted("tmpfs", system / "proc", "-t", "tmpfs"):
        (system / "proc/kcore").touch()
        tree, _ = fill(system, tmp_path)
    assert list((tree / "proc").iterdir()) == []


def test_the_data_directory_does_not_become_a_part_of_itself(system: Path) -> None:
    with pytest.raises(InvalidInput, match="part of itself"):
        fill(system, system)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "squashfs", "erofs"])
def test_a_disk_without_partitions_is_imported(system: Path, tmp_path: Path, kind: str) -> None:
    os.removexattr(system / "etc/acl", "system.posix_acl_access")  # not every one of these keeps ACLs
    disk = make_filesystem(kind, system, tmp_path / "disk.raw")
    before = hashlib.sha256(disk.read_bytes()).hexdigest()
    tree, notices = fill(disk, tmp_path)
    assert told(tree) == told(system)
    assert notices == ()
    assert hashlib.sha256(disk.read_bytes()).hexdigest() == before
    assert str(disk) not in subprocess.run(["losetup", "--list"], capture_output=True, text=True).stdout


def _partitioned(tmp_path: Path, label: str, *parts: Path) -> Path:
    """A disk with these in its partitions, from the second on; the first is an EFI system partition."""
    disk = blank(tmp_path / "disk.img", (20 + 400 * len(parts)) * MIB)
    lines = [f"label: {label}", "size=8M, type=U" if label == "gpt" else "size=8M, type=ef"]
    lines += [f"size={part.stat().st_size >> 10}K" for part in parts]
    subprocess.run(["sfdisk", "-q", disk], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)
    listed = json.loads(subprocess.run(["sfdisk", "-J", disk], capture_output=True, check=True).stdout)
    for part, place in zip(parts, listed["partitiontable"]["partitions"][1:], strict=True):
        seek = f"seek={place['start']}"
        subprocess.run(["dd", f"if={part}", f"of={disk}", seek, "conv=notrunc,sparse", "status=none"], check=True)
    return disk


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_the_system_is_found_among_partitions_and_its_boot_is_merged(system: Path, tmp_path: Path, label: str) -> None:
    boot = tmp_path / "boot"
    boot.mkdir()
    (boot / "vmlinuz-6.1.0-1").write_text("kernel")
    home = tmp_path / "home"
    (home / "user").mkdir(parents=True)
    parts = [
        make_filesystem("ext4", boot, tmp_path / "1"),
        make_filesystem("xfs", system, tmp_path / "2"),
        make_filesystem("ext4", home, tmp_path / "3"),
    ]
    disk = _partitioned(tmp_path, label, *parts)
    tree, notices = fill(disk, tmp_path)
    assert notices == ("/boot is taken from partition 2 ext4",)
    assert (tree / "boot/vmlinuz-6.1.0-1").read_text() == "kernel"
    (system / "boot/vmlinuz-6.1.0-1").write_text("kernel")
    shutil.copystat(boot / "vmlinuz-6.1.0-1", system / "boot/vmlinuz-6.1.0-1")
    shutil.copystat(boot, system / "boot")
    os.utime(system / "boot", ns=((tree / "boot").stat().st_mtime_ns,) * 2)
    assert told(tree) == told(system)

    qcow2 = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", disk, qcow2], check=True)
    tree, notices = fill(qcow2, tmp_path, partition=3)
    assert told(tree) == told(system)
    with pytest.raises(InvalidInput, match="no system was found"):
        fill(disk, tmp_path, partition=4)
    with pytest.raises(InvalidInput, match="has no partition 9"):
        fill(disk, tmp_path, partition=9)


def test_of_two_systems_one_has_to_be_named(system: Path, tmp_path: Path) -> None:
    root = make_filesystem("ext4", system, tmp_path / "1")
    disk = _partitioned(tmp_path, "gpt", root, root)
    with pytest.raises(InvalidInput, match="partitions 2 and 3 each hold a system") as caught:
        fill(disk, tmp_path)
    assert "--partition" in (caught.value.hint or "")
    tree, _ = fill(disk, tmp_path, partition=3)
    assert told(tree) == told(system)


def test_a_root_in_a_subvolume_is_found(system: Path, tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 320 * MIB)
    subprocess.run(["mkfs.btrfs", "-q", disk], check=True)
    with mounted(disk, tmp_path / "mnt", "-o", "loop") as place:
        subprocess.run(["btrfs", "-q", "subvolume", "create", place / "@"], check=True, capture_output=True)
        subprocess.run(["cp", "-a", f"{system}/.", place / "@"], check=True)
    tree, _ = fill(disk, tmp_path)
    assert told(tree) == told(system)


def test_what_is_on_a_disk_without_a_system_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    swap = blank(tmp_path / "swap", 8 * MIB)
    subprocess.run(["mkswap", swap], check=True, capture_output=True)
    lvm = blank(tmp_path / "lvm", 8 * MIB)
    with lvm.open("r+b") as file:
        file.seek(512)
        file.write(b"LABELONE" + bytes(16) + b"LVM2 001")
    disk = _partitioned(tmp_path, "gpt", make_filesystem("ext4", tmp_path / "data", tmp_path / "fs"), swap, lvm)
    with pytest.raises(InvalidInput, match=r"1 unknown, 2 ext4, 3 swap, 4 LVM") as caught:
        fill(disk, tmp_path)
    assert "vgchange" in (caught.value.hint or "")


def test_a_file_system_that_is_damaged_is_told(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk", 8 * MIB)
    with disk.open("r+b") as file:
        file.write(b"XFSB")
    with pytest.raises(InvalidInput, match="xfs cannot be mounted"):
        fill(disk, tmp_path)


def test_a_disk_that_was_in_use_is_imported_with_a_word_about_it(system: Path, tmp_path: Path) -> None:
    disk = make_filesystem("ext4", system, tmp_path / "disk")
    subprocess.run(["debugfs", "-w", "-R", "feature needs_recovery", disk], check=True, capture_output=True)
    _, notices = fill(disk, tmp_path)
    assert "not unmounted cleanly" in notices[0]


def test_a_qcow2_that_names_our_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(MIB))
    disk = tmp_path / "disk"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", tmp_path / "secret", "-F", "raw", disk], check=True
    )
    with pytest.raises(InvalidInput, match="only the changes"):
        fill(disk, tmp_path)
