"""Small trees that look like systems, and programs of this machine that work in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path


def add_program(tree: Path, program: str, place: str) -> None:
    """Copy a program of this machine and the libraries that it is linked with into the tree."""
    found = shutil.which(program)
    assert found, program
    listed = subprocess.run(["ldd", found], capture_output=True, text=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", listed)
    for source, target in [(found, place), *((name, name.lstrip("/")) for name in libraries)]:
        (tree / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tree / target)
        (tree / target).chmod(0o755)


def add_shell(tree: Path) -> None:
    """busybox as sh and a few more, so that something can run in the tree."""
    add_program(tree, "busybox", "bin/busybox")
    for name in ("sh", "cat", "echo", "id", "ls", "mknod", "mount", "umount", "hostname", "touch", "test"):
        (tree / "bin" / name).symlink_to("busybox")


def make_system(tree: Path) -> Path:
    """The least that is taken for a system: its name and an init; without kernel or packages."""
    for name in ("etc", "usr/lib", "usr/sbin", "var/lib", "boot", "root", "tmp", "run"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "usr/lib/os-release").write_text('ID=tiny\nNAME="Tiny"\nVERSION_ID=1\n')
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    (tree / "usr/sbin/init").write_bytes(b"#!/bin/sh\n")
    (tree / "usr/sbin/init").chmod(0o755)
    (tree / "sbin").symlink_to("usr/sbin")
    (tree / "tmp").chmod(0o1777)
    return tree
