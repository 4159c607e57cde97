"""What runs on the client, and where it goes in an image.

The shell core is one for every kind of initramfs; around it stand a frame for initramfs-tools and the units of the
running system.  This module only knows the files' places; the texts are files, since people read and change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent

# Packages (Debian's names) that these files need in an image.
PACKAGES = ("busybox", "initramfs-tools", "kmod", "nfs-common", "udev", "zstd")

# Units of these files that an image enables.
UNITS = ("netboot-up.service",)

# File below this folder: its place in the image.  Programs keep their executable bit.
PLACES: Mapping[str, str] = {
    "core.sh": "usr/share/netboot/core.sh",
    "image/boot.network": "usr/share/netboot/boot.network",
    "image/autologin.conf": "usr/share/netboot/autologin.conf",
    "image/autologin-generator": "usr/lib/systemd/system-generators/netboot-autologin",
    "image/netboot-up.service": "usr/lib/systemd/system/netboot-up.service",
    "image/up": "usr/lib/netboot/up",
    "initramfs-tools/conf.d/netboot": "usr/share/initramfs-tools/conf.d/netboot",
    "initramfs-tools/hooks/netboot": "usr/share/initramfs-tools/hooks/netboot",
    "initramfs-tools/modules.d/netboot": "usr/share/initramfs-tools/modules.d/netboot",
    "initramfs-tools/scripts/netboot": "usr/share/initramfs-tools/scripts/netboot",
}

PROGRAMS = frozenset({"image/autologin-generator", "image/up", "initramfs-tools/hooks/netboot"})

# What an initrd must hold for a client to get as far as its root; the builder looks for them.
REQUIRED_IN_INITRD = (
    "netboot/core.sh",
    "scripts/netboot",
    "sbin/mount.nfs",
    "/nfsv4.ko",
    "/overlay.ko",
    "/virtio_net.ko",
    "/e1000e.ko",
    "/r8169.ko",
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A file as it lies in the image: its place there, its content and mode."""

    place: str
    content: bytes
    mode: int


def files() -> tuple[Installed, ...]:
    """All of it, read: who has a tree for its root cannot read our files any more."""
    return tuple(
        Installed(place, (_HERE / source).read_bytes(), 0o755 if source in PROGRAMS else 0o644)
        for source, place in PLACES.items()
    )


def install(tree: Path, contents: Iterable[Installed] = ()) -> None:
    """Put the files into the image's tree (or one that is laid over it)."""
    for each in contents or files():
        target = tree / each.place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(each.content)
        target.chmod(each.mode)
