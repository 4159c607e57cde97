"""The files behind loaders' names: the operator's folder first, then what the distribution's packages installed.

A name is looked up beneath the folder and never outside of it.  netboot carries no loader of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from netboot.boot.loaders import (
    GRUB_ARM64,
    GRUB_X64,
    PI_FIRMWARE,
    PXELINUX,
    SHIM_ARM64,
    SHIM_X64,
    SNPONLY_ARM64,
    SNPONLY_X64,
    UBOOT_SCRIPT,
    UNDIONLY,
)
from netboot.config import Config
from netboot.config.paths import DataDir
from netboot.errors import InvalidInput
from netboot.model.loader import Loader, LoaderFile

# Name -> where Debian's packages put it (package ipxe, pxelinux, syslinux-common, shim-signed, grub-efi-*-signed).
PACKAGED: Mapping[str, Path] = {
    UNDIONLY: Path("/usr/lib/ipxe/undionly.kpxe"),
    SNPONLY_X64: Path("/usr/lib/ipxe/snponly.efi"),
    # With all drivers of its own, for a UEFI whose network stack is broken.
    "ipxe/ipxe.efi": Path("/usr/lib/ipxe/ipxe.efi"),
    "ipxe/ipxe.pxe": Path("/usr/lib/ipxe/ipxe.pxe"),
    SNPONLY_ARM64: Path("/usr/lib/ipxe/arm64-efi/snponly.efi"),
    PXELINUX: Path("/usr/lib/PXELINUX/lpxelinux.0"),
    # lpxelinux.0 fetches its core and modules from its own directory; module sets must not mix (BIOS here).
    "pxelinux/ldlinux.c32": Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"),
    "pxelinux/libcom32.c32": Path("/usr/lib/syslinux/modules/bios/libcom32.c32"),
    "pxelinux/libutil.c32": Path("/usr/lib/syslinux/modules/bios/libutil.c32"),
    "pxelinux/menu.c32": Path("/usr/lib/syslinux/modules/bios/menu.c32"),
    SHIM_X64: Path("/usr/lib/shim/shimx64.efi.signed"),
    # The one of GRUB's signed builds that holds its network modules and reads its configuration by TFTP.
    GRUB_X64: Path("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"),
    SHIM_ARM64: Path("/usr/lib/shim/shimaa64.efi.signed"),
    GRUB_ARM64: Path("/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"),
}

# What every installation is expected to have; the others are for machines that not everyone has.
USUAL = (UNDIONLY, SNPONLY_X64, PXELINUX, SHIM_X64, GRUB_X64)

# DHCP asks with every packet whether a loader is there; a file that was just put there is noticed this soon.
_FRESH_S = 1.0
_KEPT_MAX = 256


class LoaderFiles:
    """Names to files.  `folder` is the operator's; `pi_firmware` the one with a Raspberry Pi's own files."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        pi_firmware: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._pi_firmware = pi_firmware
        self._clock = clock
        self._known: dict[str, bool] = {}
        self._until = 0.0

    def find(self, name: str) -> Path | None:
        """The file of this name; None when it is not ours, or not there."""
        try:
            LoaderFile.parse(name)
        except InvalidInput:
            return None
        if (own := _beneath(self._folder, name)) is not None:
            return own
        packaged = PACKAGED.get(name)
        return packaged if packaged is not None and packaged.is_file() else None

    def has(self, name: str) -> bool:
        """Whether a client that is sent this name finds something behind it; from any thread."""
        if self._clock() >= self._until or len(self._known) >= _KEPT_MAX:
            self._known, self._until = {}, self._clock() + _FRESH_S
        known = self._known
        if name not in known:
            known[name] = self._has(name)
        return known[name]

    def _has(self, name: str) -> bool:
        if name == UBOOT_SCRIPT:
            return True  # rendered, not read
        return (self.find_pi(name) if name == PI_FIRMWARE else self.find(name)) is not None

    def find_pi(self, name: str) -> Path | None:
        """A file of the Raspberry Pi's firmware."""
        return _beneath(self._pi_firmware, name)

    def missing(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these, and of the usual ones, that are not there, and how to get them."""
        wanted = sorted({*USUAL, *names})
        return {name: self.remedy(name) for name in wanted if not self.has(name)}

    def remedy(self, name: str) -> str:
        """What puts this loader there."""
        if name == PI_FIRMWARE:
            return "install raspi-firmware and set tftp.pi_firmware to its folder"
        if name in PACKAGED:
            return f"install the package of {PACKAGED[name]}, or put the file into {self._folder}"
        return f"put the file into {self._folder}"


def loader_files(config: Config, data: DataDir) -> LoaderFiles:
    return LoaderFiles(config.loaders_dir or data.loaders, pi_firmware=config.tftp.pi_firmware)


def named_loaders(config: Config, clients: Iterable[Loader]) -> frozenset[str]:
    """The files that the configuration and the clients' records name."""
    said = [config.boot.loader, *config.loaders.values(), *clients]
    for profile in config.profile.values():
        said += [profile.loader, *profile.loaders.values()]
    return frozenset(each.name for each in said if isinstance(each, LoaderFile))


def _beneath(root: Path | None, name: str) -> Path | None:
    """A regular file beneath `root`; a link inside it may lead to another place inside it, and nowhere else."""
    if root is None:
        return None
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root.resolve()) and path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None
