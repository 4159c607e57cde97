"""What a packet or a URL tells us about who is asking: the BootRequest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address

from netboot.model.mac import MacAddress


class Arch(IntEnum):
    """DHCP option 93, the IANA registry of processor architecture types that PXE clients send.

    A number that is not listed stays a plain int in `BootRequest.arch`: unknown is normal.
    """

    BIOS = 0
    PC98 = 1
    ITANIUM = 2
    DEC_ALPHA = 3
    ARC_X86 = 4
    INTEL_LEAN = 5
    X86_UEFI = 6
    X64_UEFI = 7
    XSCALE = 8
    EBC = 9
    ARM32_UEFI = 10
    ARM64_UEFI = 11
    PPC_OF = 12
    PPC_EPAPR = 13
    PPC_OPAL = 14
    X86_HTTP = 15
    X64_HTTP = 16
    EBC_HTTP = 17
    ARM32_HTTP = 18
    ARM64_HTTP = 19
    BIOS_HTTP = 20
    ARM32_UBOOT = 21
    ARM64_UBOOT = 22
    ARM32_UBOOT_HTTP = 23
    ARM64_UBOOT_HTTP = 24
    RV32_UEFI = 25
    RV32_HTTP = 26
    RV64_UEFI = 27
    RV64_HTTP = 28
    RV128_UEFI = 29
    RV128_HTTP = 30
    S390_BASIC = 31
    S390_EXTENDED = 32
    MIPS32_UEFI = 33
    MIPS64_UEFI = 34
    SUNWAY32_UEFI = 35
    SUNWAY64_UEFI = 36
    LOONG32_UEFI = 37
    LOONG32_HTTP = 38
    LOONG64_UEFI = 39
    LOONG64_HTTP = 40
    RASPBERRY_PI = 41


ANY_ARCH = -1
"""For requests that do not tell the architecture: URLs and TFTP names, which DHCP gave to a client it knew."""


def arch_name(arch: int) -> str:
    """The architecture for people: `X64_UEFI (7)`, or the number alone of one that has no name here."""
    return f"{Arch(arch).name} ({arch})" if arch in set(Arch) else str(arch)


def arch_key(arch: int) -> str:
    """The architecture as the configuration writes it: `x64-uefi`, or the number of one that has no name here."""
    return Arch(arch).name.lower().replace("_", "-") if arch in set(Arch) else str(arch)


class Firmware(StrEnum):
    """The family of program that speaks to us first."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_HTTP = "uefi-http"
    IPXE = "ipxe"
    UBOOT = "u-boot"
    RASPBERRY_PI = "raspberry-pi"
    UNKNOWN = "unknown"


class Stage(StrEnum):
    """Who is asking now."""

    FIRMWARE = "firmware"
    LOADER = "loader"
    INITRAMFS = "initramfs"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRequest:
    """A client asks how to boot.  Decided from one packet or URL alone, never from what its MAC did before.

    `arch` is option 93 as sent, or BIOS when a PXE client sent none (what ROMs that omit it are).
    `uuid` is the 32 hex digits of SMBIOS as they came over the wire; several firmwares share placeholder values.
    `http` tells whether the asker can fetch by HTTP, so that it may be given URLs.
    """

    mac: MacAddress
    stage: Stage
    firmware: Firmware
    arch: int = Arch.BIOS
    uuid: str | None = None
    http: bool = False
    address: IPv4Address | None = None
