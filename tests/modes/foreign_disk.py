"""A whole disk with a boot loader of its own, for BIOS and UEFI, and a small system that the loader finds on it.

GRUB lies in the sectors before the first partition and, as EFI/BOOT/BOOTX64.EFI, on an EFI system partition; it loads
kernel and initramfs from the second partition.  The kernel is an image's, and so are most of the initramfs's
programs; its init is `foreign_system/init`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from netboot.model.image import Version
from netboot.system.commands import run

HERE = Path(__file__).parent / "foreign_system"
GRUB = Path("/usr/lib/grub")

_SECTOR = 512
_MIB = 1 << 20
# The first partition begins where every tool of today begins it, which leaves GRUB's core the MiB before.
_ESP_MIB, _SYSTEM_MIB = 8, 64
_TABLE = f"label: dos\nstart={_MIB // _SECTOR}, size={_ESP_MIB}MiB, type=ef, bootable\nsize={_SYSTEM_MIB}MiB, type=83\n"
_MODULES = ("part_msdos", "ext2", "search_label", "linux")
# What Debian's initramfs has no use for: the kernel's view of the iBFT.
_IBFT = ("drivers/firmware/iscsi_ibft.ko", "drivers/scsi/iscsi_boot_sysfs.ko")


def make_disk(disk: Path, version: Version, *, token: str, scratch: Path) -> None:
    """Make the disk; `/token` on its second partition holds `token`."""
    with disk.open("wb") as file:
        file.truncate((1 + _ESP_MIB + _SYSTEM_MIB) * _MIB)
    run(["sfdisk", "--quiet", str(disk)], input=_TABLE)
    _write(disk, 0, (GRUB / "i386-pc/boot.img").read_bytes()[:440])  # what follows is the partition table
    _write(disk, _SECTOR, _grub("i386-pc", ("biosdisk",), scratch).read_bytes())
    _write(disk, _MIB, _system_partition_of_efi(scratch).read_bytes())
    _write(disk, (1 + _ESP_MIB) * _MIB, _system(version, token, scratch).read_bytes())


def _write(disk: Path, offset: int, data: bytes) -> None:
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _grub(platform: str, more: tuple[str, ...], scratch: Path) -> Path:
    """GRUB with all that it needs in one file; for BIOS as it lies on a disk, from the second sector on."""
    core = scratch / f"grub.{platform}"
    config = str(HERE / "loader.cfg")
    run(["grub-mkimage", "-O", platform, "-p", "/", "-c", config, "-o", str(core), *_MODULES, *more])
    assert core.stat().st_size < _MIB - _SECTOR
    return core


def _system_partition_of_efi(scratch: Path) -> Path:
    partition = scratch / "esp"
    with partition.open("wb") as file:
        file.truncate(_ESP_MIB * _MIB)
    loader = _grub("x86_64-efi", (), scratch)
    run(["mformat", "-i", str(partition), "::"])
    run(["mmd", "-i", str(partition), "::/EFI", "::/EFI/BOOT"])
    run(["mcopy", "-i", str(partition), str(loader), "::/EFI/BOOT/BOOTX64.EFI"])
    return partition


def _system(version: Version, token: str, scratch: Path) -> Path:
    tree, partition = scratch / "tree", scratch / "system"
    (tree / "boot").mkdir(parents=True)
    shutil.copyfile(version.kernel.path, tree / "boot/vmlinuz")
    # The kernel unpacks one archive after the other; a compressed one has to be the last.
    (tree / "boot/initrd.img").write_bytes(_own_archive(version, scratch) + version.initrd.path.read_bytes())
    (tree / "token").write_text(f"{token}\n")
    run(["mke2fs", "-q", "-t", "ext2", "-L", "foreign", "-d", str(tree), str(partition), f"{_SYSTEM_MIB}M"])
    return partition


def _own_archive(version: Version, scratch: Path) -> bytes:
    own = scratch / "initramfs/foreign"
    own.mkdir(parents=True)
    shutil.copy(HERE / "init", own / "init")
    (own / "init").chmod(0o755)
    for module in _IBFT:
        inside = f"/usr/lib/modules/{version.kernel_version}/kernel/{module}"
        run(["debugfs", "-R", f"dump {inside} {own / Path(module).name}", str(version.root.path)])
        assert (own / Path(module).name).stat().st_size > 0
    names = "".join(f"{each.relative_to(own.parent)}\n" for each in (own, *sorted(own.iterdir())))
    pack = ["busybox", "cpio", "-o", "-H", "newc"]
    return subprocess.run(pack, input=names.encode(), stdout=subprocess.PIPE, cwd=own.parent, check=True).stdout


def told(console: str) -> dict[str, str]:
    """What the system's init said on its console, by its first word."""
    return dict(re.findall(r"^foreign: (\S+) (.*)$", console, re.MULTILINE))
