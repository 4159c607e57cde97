"""Which file a client is sent next: firmware gets a loader, a loader gets a script.

One table from firmware and architecture to the loader's name, one from names to files of the distribution's
packages.  The name is what travels in DHCP's `file` and what TFTP is asked for; it never is a path of the server.
Each family of loaders has a table of its own: a machine that the chosen family has nothing for is refused by
`netboot.boot.choose`, never sent another family's.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from netboot.model.client import LoaderChoice
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, LocalTarget

UNDIONLY = "ipxe/undionly.kpxe"
SNPONLY_X64 = "ipxe/snponly.efi"
SNPONLY_ARM64 = "ipxe/arm64/snponly.efi"
PXELINUX = "pxelinux/lpxelinux.0"
SHIM_X64 = "grub/shimx64.efi"
# The name is shim's: it asks for this one in the directory that itself came from (rule 6.21).
GRUB_X64 = "grub/grubx64.efi"

# By architecture: snponly rather than ipxe.efi, since it keeps to the NIC and the driver that just worked.
# 9 (EBC) is x86-64 on the machines that send it; they mean 7 (RFC 4578 erratum).
_IPXE: Mapping[int, str] = {
    Arch.BIOS: UNDIONLY,
    Arch.BIOS_HTTP: UNDIONLY,
    Arch.X64_UEFI: SNPONLY_X64,
    Arch.EBC: SNPONLY_X64,
    Arch.X64_HTTP: SNPONLY_X64,
    Arch.EBC_HTTP: SNPONLY_X64,
    Arch.ARM64_UEFI: SNPONLY_ARM64,
    Arch.ARM64_HTTP: SNPONLY_ARM64,
}
_PXELINUX: Mapping[int, str] = {Arch.BIOS: PXELINUX}
# Signed by Microsoft (shim) and Debian (GRUB, and the kernel that it starts): what Secure Boot lets through.
_GRUB: Mapping[int, str] = {Arch.X64_UEFI: SHIM_X64, Arch.EBC: SHIM_X64}

_TABLES: Mapping[LoaderChoice, Mapping[int, str]] = {
    LoaderChoice.AUTO: _IPXE,
    LoaderChoice.IPXE: _IPXE,
    LoaderChoice.PXELINUX: _PXELINUX,
    LoaderChoice.GRUB: _GRUB,
}

# Name -> where Debian's packages put it (package ipxe, pxelinux, syslinux-common, shim-signed, grub-efi-amd64-signed).
_FILES: Mapping[str, Path] = {
    UNDIONLY: Path("/usr/lib/ipxe/undionly.kpxe"),
    SNPONLY_X64: Path("/usr/lib/ipxe/snponly.efi"),
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
}


def boot_file(request: BootRequest, target: BootTarget, *, server: IPv4Address, http_port: int) -> str | None:
    """What to name in `file` and option 67: a TFTP name, an HTTP URL, or None when there is nothing to boot.

    None is also given to an architecture that no loader is known for.
    """
    if isinstance(target, DeniedTarget | LocalTarget):
        return None
    table = _TABLES[target.loader if isinstance(target, ImageTarget) else LoaderChoice.AUTO]
    # To a client that wants another family, the iPXE in its network card's ROM is firmware, not its loader.
    if request.stage is Stage.LOADER and table is _IPXE:
        return script_url(request, server=server, http_port=http_port)
    name = table.get(request.arch)
    if name is None:
        return None
    if request.firmware is Firmware.UEFI_HTTP:
        return f"http://{server}:{http_port}/loader/{name}"
    return name


def starts(choice: LoaderChoice, arch: int) -> bool:
    """Whether the family that was chosen has a loader for this architecture.

    iPXE may always answer yes: a machine that has it in ROM needs no file of ours.
    """
    table = _TABLES[choice]
    return table is _IPXE or arch == ANY_ARCH or arch in table


def script_url(request: BootRequest, *, server: IPv4Address, http_port: int) -> str:
    """The iPXE script of a client; an IP literal, since a chained loader may have no name service."""
    return f"http://{server}:{http_port}/boot/{request.mac.dashed}/ipxe"


def find_loader(name: str) -> Path | None:
    """The file behind a loader's name, None for a name that is not ours or whose package is not installed."""
    path = _FILES.get(name)
    return path if path is not None and path.is_file() else None


def missing_loaders() -> dict[str, Path]:
    """The loaders of the table that no installed package provides, for the daemon's start-up message."""
    wanted = {UNDIONLY, SNPONLY_X64, PXELINUX, SHIM_X64, GRUB_X64}
    return {name: _FILES[name] for name in sorted(wanted) if not _FILES[name].is_file()}
