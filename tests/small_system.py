"""A system of a few files, for tests that need one to run in and not to boot: busybox and its libraries.

Its kernel and initrd are words, and its lsinitramfs tells of an initrd that would boot."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from netboot import initramfs
from tests.kit import cannot_run

_FOLDERS = ("bin", "boot", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr/sbin", "var/log")
_APPLETS = ("sh", "cat", "cp", "dd", "echo", "id", "ls", "mount", "ps", "rm", "sync", "tty")


def small_tree(folder: Path) -> Path:
    """Make the system in `folder`."""
    busybox = shutil.which("busybox")
    if busybox is None:
        cannot_run("busybox is not there")
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    for file in (busybox, *_libraries(busybox)):
        place = folder / "bin/busybox" if file == busybox else folder / file.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    for applet in _APPLETS:
        (folder / "bin" / applet).symlink_to("busybox")
    (folder / "etc/os-release").write_text('ID=small\nPRETTY_NAME="A small system"\n')
    (folder / "boot/vmlinuz-1.0").write_bytes(b"kernel")
    (folder / "boot/initrd.img-1.0").write_bytes(b"initrd")
    names = " ".join(initramfs.INITRAMFS_TOOLS.required)
    _write_program(folder / "usr/sbin/mkinitramfs", "#!/bin/sh\n")
    _write_program(folder / "bin/lsinitramfs", f'#!/bin/sh\nfor name in {names}; do echo "$name"; done\n')
    return folder


def _write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def small_root(folder: Path, *, size: str = "64M") -> Path:
    """The system as a raw file system like that of a version: ext4 in blocks of 4 KiB, without a journal."""
    tree, file = small_tree(folder / "small-tree"), folder / "small.ext4"
    features = "^has_journal,^orphan_file,metadata_csum_seed"
    argv: list[str | Path] = ["mkfs.ext4", "-q", "-F", "-b", "4096", "-O", features, "-d", tree, file, size]
    subprocess.run(argv, check=True)
    file.chmod(0o444)
    return file


def _libraries(program: str) -> list[str]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/[^\s]+) \(0x", said)
