"""The kernel of a system: which one is booted when there are several, and the initrd that belongs to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import NetbootError

_PREFIX = "vmlinuz-"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's version, its file, and its initrd."""

    version: str
    file: Path
    initrd: Path


def kernel_versions(tree: Path) -> tuple[str, ...]:
    """The versions of the kernels in the system's /boot, the newest last."""
    names = (each.name for each in (tree / "boot").glob(f"{_PREFIX}*") if each.is_file() and not each.is_symlink())
    return tuple(sorted((name.removeprefix(_PREFIX) for name in names), key=natural))


def newest_kernel(tree: Path) -> Kernel:
    """The newest kernel, which an upgrade has put beside its forerunners.  Raises when it or its initrd is missing."""
    versions = kernel_versions(tree)
    if not versions:
        raise NetbootError("the system has no kernel in /boot", hint="install one, as linux-image-amd64 of Debian")
    version = versions[-1]
    initrd = tree / "boot" / f"initrd.img-{version}"
    if not initrd.is_file() or initrd.is_symlink():
        raise NetbootError(
            f"kernel {version} has no initrd in /boot", hint=f"make it, in the system: update-initramfs -c -k {version}"
        )
    return Kernel(version, tree / "boot" / f"{_PREFIX}{version}", initrd)


def natural(text: str) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts numbers within text by their value: 6.1.0-9 comes before 6.1.0-10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((1, int(part)) if part.isdecimal() else (0, part) for part in parts)
