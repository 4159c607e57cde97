"""What runs on the client, and where it goes in an image.

The shell core is one for every kind of initramfs; around it stand a frame for each program that makes one, and the
units of the running system.  This module only knows the files' places; the texts are files, since people read and
change them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent

# Units of these files that an image enables.
UNITS = ("netboot-up.service", "netboot-upper.service")

# The core's files; they lie side by side in an image and in an initrd.
CORE = tuple(f"{part}.sh" for part in ("core", "tries", "root", "iscsi", "verity", "upper", "client", "data"))

# File below this folder: its place in the image.  Programs keep their executable bit.
COMMON_PLACES: Mapping[str, str] = {
    **{part: f"usr/share/netboot/{part}" for part in CORE},
    "iscsi.conf": "usr/share/netboot/iscsi.conf",
    "image/boot.network": "usr/share/netboot/boot.network",
    "image/autologin.conf": "usr/share/netboot/autologin.conf",
    "image/autologin-generator": "usr/lib/systemd/system-generators/netboot-autologin",
    "image/damaged": "usr/lib/netboot/damaged",
    "image/damaged.rules": "usr/lib/udev/rules.d/90-netboot-damaged.rules",
    "image/netboot-damaged@.service": "usr/lib/systemd/system/netboot-damaged@.service",
    "image/netboot-up.service": "usr/lib/systemd/system/netboot-up.service",
    "image/netboot-upper.service": "usr/lib/systemd/system/netboot-upper.service",
    "image/up": "usr/lib/netboot/up",
    "image/watch-upper": "usr/lib/netboot/watch-upper",
}

# Packages (Debian's names) that the core needs in an image, and so in its initrd.
_CORE_PACKAGES = ("busybox", "dmsetup", "e2fsprogs", "kmod", "nfs-common", "open-iscsi", "udev", "zstd")

# What an initrd must hold for a client to get as far as its root, whoever made it.
_IN_INITRD = (
    "netboot/core.sh",
    "sbin/mount.nfs",
    "/nfsv4.ko",
    "/overlay.ko",
    "/virtio_net.ko",
    "/e1000e.ko",
    "/r8169.ko",
)

# The same for roots that are files and disks: where the core has that part, which that of older versions has not.
_BLOCKS_PART = "netboot/root.sh"
_IN_INITRD_FOR_BLOCKS = ("sbin/iscsistart", "sbin/iscsid", "sbin/dmsetup", "/iscsi_tcp.ko", "/dm-verity.ko", "/loop.ko")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A program of an image that makes its initrd, and our frame for it.

    `program` is its place in an image; `packages` are all that our client side needs with it; `make` and `list` are
    the commands that make the initrd of a kernel at a path, and that tell what is in one; `required` is what must be in
    any.
    """

    name: str
    program: str
    packages: tuple[str, ...]
    places: Mapping[str, str]
    make: Callable[[str, str], tuple[str, ...]]
    list: Callable[[str], tuple[str, ...]]
    required: tuple[str, ...]

    def lacking(self, names: str) -> tuple[str, ...]:
        """What is not in an initrd in which these names are."""
        wanted = self.required + (_IN_INITRD_FOR_BLOCKS if _BLOCKS_PART in names else ())
        return tuple(name for name in wanted if name not in names)


INITRAMFS_TOOLS = Generator(
    name="initramfs-tools",
    program="usr/sbin/mkinitramfs",
    packages=(*_CORE_PACKAGES, "initramfs-tools"),
    places={
        "initramfs-tools/conf.d/netboot": "usr/share/initramfs-tools/conf.d/netboot",
        "initramfs-tools/hooks/netboot": "usr/share/initramfs-tools/hooks/netboot",
        "initramfs-tools/modules.d/netboot": "usr/share/initramfs-tools/modules.d/netboot",
        "initramfs-tools/open-iscsi": "etc/initramfs-tools/conf.d/open-iscsi",
        "initramfs-tools/scripts/netboot": "usr/share/initramfs-tools/scripts/netboot",
    },
    make=lambda kernel, initrd: ("mkinitramfs", "-o", initrd, kernel),
    list=lambda initrd: ("lsinitramfs", initrd),
    required=(*_IN_INITRD, "scripts/netboot"),
)

_DRACUT_MODULE = "usr/lib/dracut/modules.d/91netboot"
DRACUT = Generator(
    name="dracut",
    program="usr/bin/dracut",
    packages=(*_CORE_PACKAGES, "dracut"),
    places={
        "dracut/netboot.conf": "usr/lib/dracut/dracut.conf.d/90-netboot.conf",
        "dracut/91netboot/module-setup.sh": f"{_DRACUT_MODULE}/module-setup.sh",
        "dracut/91netboot/cmdline.sh": f"{_DRACUT_MODULE}/cmdline.sh",
        "dracut/91netboot/mount.sh": f"{_DRACUT_MODULE}/mount.sh",
        "dracut/91netboot/udhcpc": f"{_DRACUT_MODULE}/udhcpc",
    },
    make=lambda kernel, initrd: ("dracut", "--force", "--quiet", initrd, kernel),
    list=lambda initrd: ("lsinitrd", initrd),
    required=(*_IN_INITRD, "hooks/mount/99-mount.sh"),
)

GENERATORS: Mapping[str, Generator] = {each.name: each for each in (INITRAMFS_TOOLS, DRACUT)}

# All files and their places, whatever makes the initrd.
PLACES: Mapping[str, str] = {
    source: place
    for places in (COMMON_PLACES, *(each.places for each in GENERATORS.values()))
    for source, place in places.items()
}

PROGRAMS = frozenset(
    {
        "dracut/91netboot/module-setup.sh",
        "dracut/91netboot/udhcpc",
        "image/autologin-generator",
        "image/damaged",
        "image/up",
        "image/watch-upper",
        "initramfs-tools/hooks/netboot",
    }
)


def find_generator(has: Callable[[str], bool]) -> Generator | None:
    """The generator of a tree that `has` files."""
    return next((each for each in GENERATORS.values() if has(each.program)), None)


@dataclass(frozen=True, slots=True)
class Installed:
    """A file as it lies in the image: its place there, its content and mode."""

    place: str
    content: bytes
    mode: int


def files(generator: Generator) -> tuple[Installed, ...]:
    """All that an image with this generator needs, read: who has a tree for its root cannot read our files any more."""
    return tuple(
        Installed(place, (_HERE / source).read_bytes(), 0o755 if source in PROGRAMS else 0o644)
        for source, place in {**COMMON_PLACES, **generator.places}.items()
    )


def install(tree: Path, contents: Iterable[Installed]) -> None:
    """Put the files into the image's tree (or one that is laid over it)."""
    for each in contents:
        target = tree / each.place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(each.content)
        target.chmod(each.mode)
