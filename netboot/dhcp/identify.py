"""Who is asking: the one place where a packet becomes a `BootRequest`, or an ordinary DHCP client.

Decided from the packet alone, never from what its MAC did before: one machine sends PXE, then HTTP boot, then
iPXE, then its system's DHCP, all from one address.  What firmware says of itself is believed with these exceptions:
Raspberry Pi ROMs pretend to be x86 BIOS, UEFI with architecture 9 is x86-64, and an iPXE that cannot fetch
by HTTP (VirtualBox's) is no loader of ours but firmware that must be sent one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netboot.dhcp import options as opt
from netboot.dhcp.message import Message
from netboot.model.mac import MacAddress
from netboot.model.request import Arch, BootRequest, Firmware, Stage

PXE_CLASS = b"PXEClient"
HTTP_CLASS = b"HTTPClient"

_UBOOT_CLASS = b"U-Boot"
_CLASS_ARCH = re.compile(rb":Arch:(\d{1,5})")

# iPXE's option 175 lists its features as sub-options (src/include/ipxe/features.h).
_HTTP_FEATURE, _BZIMAGE_FEATURE, _EFI_FEATURE = 0x13, 0x18, 0x24

# Raspberry Pi's own blocks of MAC addresses.
_PI_OUIS = frozenset(bytes.fromhex(each) for each in ("b827eb", "dca632", "e45f01", "d83add", "2ccf67", "28cdc1"))
_PI_MACHINE_IDS = (b"RPi4", bytes.fromhex("34695052"))

_HTTP_ARCHES = frozenset(each for each in Arch if each.name.endswith("_HTTP"))
_UBOOT_ARCHES = frozenset(each for each in Arch if "UBOOT" in each.name)
_UEFI_ARCHES = frozenset(each for each in Arch if each.name.endswith("_UEFI")) | {Arch.EBC, Arch.ITANIUM}


@dataclass(frozen=True, slots=True)
class NotBooting:
    """An ordinary DHCP client; `reason` says what it lacks."""

    reason: str


def identify(message: Message, mac: MacAddress) -> BootRequest | NotBooting:
    """What the packet tells of a booting machine, or why it comes from none."""
    vendor_class = opt.VENDOR_CLASS.read(message.options) or b""
    ipxe = _ipxe_stage(message)
    pi = _is_raspberry_pi(message, mac, vendor_class)
    if not (ipxe or pi or vendor_class.startswith((PXE_CLASS, HTTP_CLASS, _UBOOT_CLASS))):
        return NotBooting("no PXE, HTTP boot or iPXE class")
    arch = Arch.RASPBERRY_PI if pi else _arch(message, vendor_class)
    firmware = Firmware.IPXE if ipxe else Firmware.RASPBERRY_PI if pi else _firmware(vendor_class, arch)
    return BootRequest(
        mac=mac,
        stage=ipxe or Stage.FIRMWARE,
        firmware=firmware,
        arch=arch,
        uuid=uuid_of(message.options.get(opt.MACHINE_ID.code, b"")),
        http=ipxe is Stage.LOADER or firmware is Firmware.UEFI_HTTP or arch in _HTTP_ARCHES,
        address=message.ciaddr if int(message.ciaddr) else None,
    )


def written_uuid(request: BootRequest) -> str | None:
    """The UUID as an admin reads it in the firmware's setup or in libvirt, with hyphens.

    PC firmware and iPXE send the first three fields little-endian; U-Boot sends all of it big-endian.
    """
    if request.uuid is None:
        return None
    return hyphenated(request.uuid if request.firmware is Firmware.UBOOT else swapped_uuid(request.uuid))


def hyphenated(uuid: str) -> str:
    """32 hex digits as a UUID is usually written."""
    return f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}"


def swapped_uuid(uuid: str) -> str:
    """32 hex digits with the first three fields in the other byte order."""
    raw = bytes.fromhex(uuid)
    return (raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]).hex()


def user_classes(raw: bytes) -> tuple[bytes, ...]:
    """Option 77 as RFC 3004 has it, length-prefixed instances, or as iPXE has it, one bare string."""
    classes, at = [], 0
    while at < len(raw):
        size = raw[at]
        if size == 0 or at + 1 + size > len(raw):
            return (raw,)
        classes.append(raw[at + 1 : at + 1 + size])
        at += 1 + size
    return tuple(classes)


def _ipxe_stage(message: Message) -> Stage | None:
    """Stage of an iPXE: LOADER when it can run our scripts, FIRMWARE when it must be sent an iPXE that can.

    None for what is no iPXE.  gPXE, its ancestor, does not take iPXE's scripts.
    """
    classes = user_classes(message.options.get(opt.USER_CLASS.code, b"").rstrip(b"\0"))
    encapsulated = message.options.get(opt.IPXE.code)
    if b"gPXE" in classes:
        return Stage.FIRMWARE
    if not any(b"iPXE" in each for each in classes) and encapsulated is None:
        return None
    features = opt.read_suboptions(encapsulated or b"")
    if not features:
        return Stage.LOADER
    # A kernel is a bzImage to a BIOS build and an EFI program to an EFI build.
    runs_linux = _BZIMAGE_FEATURE in features or _EFI_FEATURE in features
    return Stage.LOADER if _HTTP_FEATURE in features and runs_linux else Stage.FIRMWARE


def _is_raspberry_pi(message: Message, mac: MacAddress, vendor_class: bytes) -> bool:
    """A Pi's boot ROM: some releases omit option 60 in their REQUEST, but a Pi's system sends its own."""
    if vendor_class and not vendor_class.startswith(PXE_CLASS):
        return False
    return has_marks_of_pi(message.options.get(opt.MACHINE_ID.code, b""), mac.octets)


def has_marks_of_pi(machine_id: bytes, octets: bytes) -> bool:
    """Whether option 97 and the MAC may be a Raspberry Pi's; without option 97 they are not."""
    told = machine_id[1:]
    if not told:
        return False
    # The Pi 3's ROM has its serial number, four times over, in place of a UUID.
    repeated = len(told) == 16 and told == told[:4] * 4 and any(told)
    return octets[:3] in _PI_OUIS or told.startswith(_PI_MACHINE_IDS) or repeated


def _arch(message: Message, vendor_class: bytes) -> int:
    """Option 93 wins over the class's text; a PXE client that tells neither is a BIOS (iPXE's own advice)."""
    if arches := opt.ARCH.read(message.options):
        return arches[0]
    if match := _CLASS_ARCH.search(vendor_class):
        return int(match.group(1))
    return Arch.X64_HTTP if vendor_class.startswith(HTTP_CLASS) else Arch.BIOS


def _firmware(vendor_class: bytes, arch: int) -> Firmware:
    if vendor_class.startswith(_UBOOT_CLASS) or arch in _UBOOT_ARCHES:
        return Firmware.UBOOT
    if vendor_class.startswith(HTTP_CLASS):
        return Firmware.UEFI_HTTP
    if arch in _UEFI_ARCHES:
        return Firmware.UEFI
    return Firmware.BIOS if arch in (Arch.BIOS, Arch.INTEL_LEAN, Arch.PC98) else Firmware.UNKNOWN


def uuid_of(machine_id: bytes) -> str | None:
    """The UUID of option 97, which has type 0 and 16 bytes; other types and lengths are opaque to us."""
    if len(machine_id) != 17 or machine_id[0] != 0 or not any(machine_id[1:]):
        return None
    return machine_id[1:].hex()
