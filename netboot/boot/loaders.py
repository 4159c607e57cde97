"""Which file a client is sent next: firmware gets a loader, a loader gets a script.

One table, with a row for each architecture of IANA's registry: what a machine of that kind is sent, by family of
loaders.  The name is what travels in DHCP's `file` and what TFTP is asked for; it never is a path of the server
(`netboot.boot.loaderfiles`).  A machine that the chosen family has nothing for is refused by `netboot.boot.choose`,
never sent another family's.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from netboot.model.loader import Loader, LoaderChoice, LoaderFile
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.target import BootTarget, ImageTarget, MenuTarget, SanTarget

UNDIONLY = "ipxe/undionly.kpxe"
SNPONLY_X64 = "ipxe/snponly.efi"
SNPONLY_ARM64 = "ipxe/arm64/snponly.efi"
PXELINUX = "pxelinux/lpxelinux.0"
SHIM_X64 = "grub/shimx64.efi"
SHIM_ARM64 = "grub/shimaa64.efi"
# The names are shim's: it asks for these in the directory that itself came from (rule 6.21).
GRUB_X64 = "grub/grubx64.efi"
GRUB_ARM64 = "grub/grubaa64.efi"
# U-Boot needs no loader: it reads PXELINUX's language itself.  It looks for pxelinux.cfg/ beside the file that DHCP
# named, and loads that file first, so it is named its script, which stands at the root (rule 6.23).
UBOOT_SCRIPT = "01-{mac}"
# A Raspberry Pi asks for files of its own choice.  This one is named since DHCP must name one (rule 6.24).
PI_FIRMWARE = "bootcode.bin"

_Row = Mapping[LoaderChoice, str]


def _row(ipxe: str | None = None, *, pxelinux: str | None = None, grub: str | None = None) -> _Row:
    named = {
        LoaderChoice.AUTO: ipxe,
        LoaderChoice.IPXE: ipxe,
        LoaderChoice.PXELINUX: pxelinux,
        LoaderChoice.GRUB: grub,
    }
    return {choice: name for choice, name in named.items() if name is not None}


# There is no loader of any family; a file of the operator's can be named in the configuration.
_NONE = _row()
# snponly rather than ipxe.efi, since it keeps to the NIC and the driver that just worked.
_X64 = _row(SNPONLY_X64, grub=SHIM_X64)
_X64_HTTP = _row(SNPONLY_X64)
_UBOOT: _Row = {LoaderChoice.AUTO: UBOOT_SCRIPT}

LOADERS: Mapping[int, _Row] = {
    Arch.BIOS: _row(UNDIONLY, pxelinux=PXELINUX),
    Arch.PC98: _NONE,
    Arch.ITANIUM: _NONE,
    Arch.DEC_ALPHA: _NONE,
    Arch.ARC_X86: _NONE,
    Arch.INTEL_LEAN: _NONE,
    Arch.X86_UEFI: _row("ipxe/i386/snponly.efi"),
    Arch.X64_UEFI: _X64,
    Arch.XSCALE: _NONE,
    # x86-64 on the machines that send it: they mean 7 (RFC 4578 erratum).
    Arch.EBC: _X64,
    Arch.ARM32_UEFI: _row("ipxe/arm32/snponly.efi"),
    Arch.ARM64_UEFI: _row(SNPONLY_ARM64, grub=SHIM_ARM64),
    Arch.PPC_OF: _NONE,
    Arch.PPC_EPAPR: _NONE,
    Arch.PPC_OPAL: _NONE,
    Arch.X86_HTTP: _row("ipxe/i386/snponly.efi"),
    Arch.X64_HTTP: _X64_HTTP,
    Arch.EBC_HTTP: _X64_HTTP,
    Arch.ARM32_HTTP: _row("ipxe/arm32/snponly.efi"),
    Arch.ARM64_HTTP: _row(SNPONLY_ARM64),
    Arch.BIOS_HTTP: _row(UNDIONLY),
    Arch.ARM32_UBOOT: _UBOOT,
    Arch.ARM64_UBOOT: _UBOOT,
    # No U-Boot is known that sends these: over HTTP it boots as UEFI does.
    Arch.ARM32_UBOOT_HTTP: _NONE,
    Arch.ARM64_UBOOT_HTTP: _NONE,
    Arch.RV32_UEFI: _row("ipxe/riscv32/snponly.efi"),
    Arch.RV32_HTTP: _row("ipxe/riscv32/snponly.efi"),
    Arch.RV64_UEFI: _row("ipxe/riscv64/snponly.efi"),
    Arch.RV64_HTTP: _row("ipxe/riscv64/snponly.efi"),
    Arch.RV128_UEFI: _NONE,
    Arch.RV128_HTTP: _NONE,
    Arch.S390_BASIC: _NONE,
    Arch.S390_EXTENDED: _NONE,
    Arch.MIPS32_UEFI: _NONE,
    Arch.MIPS64_UEFI: _NONE,
    Arch.SUNWAY32_UEFI: _NONE,
    Arch.SUNWAY64_UEFI: _NONE,
    Arch.LOONG32_UEFI: _NONE,
    Arch.LOONG32_HTTP: _NONE,
    Arch.LOONG64_UEFI: _row("ipxe/loong64/snponly.efi"),
    Arch.LOONG64_HTTP: _row("ipxe/loong64/snponly.efi"),
    Arch.RASPBERRY_PI: {LoaderChoice.AUTO: PI_FIRMWARE},
}


def boot_file(request: BootRequest, target: BootTarget, *, server: IPv4Address, http_port: int) -> str | None:
    """What to name in `file` and option 67: a TFTP name, an HTTP URL, or None when there is nothing to boot.

    None is also given to an architecture that no loader is known for.
    """
    loader = _loader_of(target)
    if loader is None:
        return None
    if is_script_next(request, loader):
        return script_url(request, server=server, http_port=http_port)
    name = loader_name(loader, request.arch)
    if name is None:
        return None
    if request.firmware is Firmware.UEFI_HTTP:
        return f"http://{server}:{http_port}/loader/{name}"
    return name.format(mac=request.mac.dashed)


def is_script_next(request: BootRequest, loader: Loader) -> bool:
    """Whether an iPXE asks that is the client's loader.

    To a client that wants another family, the iPXE in its network card's ROM is firmware, not its loader.
    """
    return request.stage is Stage.LOADER and runs_ipxe_scripts(loader)


def runs_ipxe_scripts(loader: Loader) -> bool:
    """Whether what a machine is sent by this word may be iPXE; `auto` is, where there is iPXE for the machine."""
    return loader.runs_ipxe_scripts if isinstance(loader, LoaderFile) else loader in _IPXE


def loader_name(loader: Loader, arch: int) -> str | None:
    """The loader of that family, or the named one, for an architecture; None when there is none."""
    if isinstance(loader, LoaderFile):
        return loader.name
    return LOADERS.get(arch, _NONE).get(loader)


def starts(loader: Loader, arch: int) -> bool:
    """Whether there is something to send to a machine of this architecture.

    iPXE may always answer yes: a machine that has it in ROM needs no file of ours.
    """
    return arch == ANY_ARCH or loader in _IPXE or loader_name(loader, arch) is not None


def script_url(request: BootRequest, *, server: IPv4Address, http_port: int) -> str:
    """The iPXE script of a client; an IP literal, since a chained loader may have no name service."""
    return f"http://{server}:{http_port}/boot/{request.mac.dashed}/ipxe"


_IPXE = (LoaderChoice.AUTO, LoaderChoice.IPXE)


def _loader_of(target: BootTarget) -> Loader | None:
    match target:
        case ImageTarget() | SanTarget():
            return target.loader
        case MenuTarget():
            return target.entries[0].loader  # a menu's entries differ in nothing but their version
    return None
