"""What is due after each step of a boot, and why it probably did not come: tables, and which of them holds.

Most machines boot by a loader that asks by DHCP for its script.  PXELINUX and GRUB ask nobody, and a Raspberry Pi has
no loader at all: its own firmware, file by file, then its configuration, then the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netboot.model.event import Event, EventKind
from netboot.model.request import Firmware

K = EventKind


@dataclass(frozen=True, slots=True)
class Wait:
    """What is due after a step: within how many seconds, and why it probably did not come."""

    missing: EventKind
    limit_s: float
    cause: str
    hint: str


WAITS: Mapping[EventKind, Wait] = {
    K.DISCOVERED: Wait(
        K.OFFERED,
        15,
        "we saw the client but made it no offer",
        "look at the daemon's log for the reason: a full pool, a missing subnet, or an unknown client",
    ),
    K.OFFERED: Wait(
        K.ACKED,
        30,
        "the client did not take our offer: another server's offer won, or the reply never reached it",
        "look for a second DHCP server on this network, and for a switch port that blocks or delays (spanning tree)",
    ),
    K.ACKED: Wait(
        K.LOADER_SENT,
        60,
        "the client has its address but never fetched its loader over TFTP",
        "check that UDP port 69 and the ports above 1023 of this server are open to the client",
    ),
    K.LOADER_SENT: Wait(
        K.SCRIPT_OFFERED,
        90,
        "the loader was sent but never asked for its script: it did not start, as Secure Boot lets only grub do, or it"
        " has no driver for the network card",
        "try another loader: netboot client set NAME --loader grub (UEFI, also with Secure Boot) or pxelinux (BIOS)",
    ),
    K.SCRIPT_OFFERED: Wait(
        K.SCRIPT_SENT,
        60,
        "the loader knows where its script is but never fetched it",
        "check that the HTTP port of this server is open to the client",
    ),
    K.SCRIPT_SENT: Wait(
        K.KERNEL_SENT,
        90,
        "the loader has its script but did not finish fetching the kernel",
        "check the link's speed, and that the version's kernel is whole: netboot image fsck",
    ),
    K.KERNEL_SENT: Wait(
        K.INITRD_SENT,
        120,
        "the kernel was fetched but the initrd was not: the loader refused the kernel, or ran out of memory",
        "check that the kernel fits the client's architecture: netboot image fsck",
    ),
    K.INITRD_SENT: Wait(
        K.INITRAMFS_STARTED,
        120,
        "kernel and initrd were fetched, but the initramfs never reported: the kernel crashed or found no network",
        "look at the client's console; try another kernel, or add the card's driver to the image",
    ),
    K.INITRAMFS_STARTED: Wait(
        K.ROOT_MOUNTED,
        90,
        "the initramfs runs but could not mount its root",
        "check that the NFS export is there and that TCP port 2049 of this server is open to the client",
    ),
    K.ROOT_MOUNTED: Wait(
        K.UP,
        300,
        "the root is mounted but the system did not come up",
        "look at the client's console for the unit that hangs",
    ),
}

# The same after a loader that never asks by DHCP where its script is, by the folder of the loader's file.
_SILENT_LOADERS: Mapping[str, Wait] = {
    "pxelinux": Wait(
        K.SCRIPT_SENT,
        90,
        "PXELINUX was sent but never fetched its configuration: it did not start, or does not get along with this"
        " machine's PXE",
        "try another loader: netboot client set NAME --loader auto",
    ),
    "grub": Wait(
        K.SCRIPT_SENT,
        90,
        "GRUB was sent but never fetched its configuration: it did not start, or it asks another server than this one,"
        " namely the one that the lender of its address names as next server",
        "beside another DHCP server: have that one name this server as next-server (siaddr), or use --loader auto",
    ),
}

# The same after the script of a machine that boots a disk with a loader of its own.
_SAN = Wait(
    K.DISK_ATTACHED,
    90,
    "iPXE was told to boot from a disk over iSCSI, but did not say that it has it: the disk's server does not answer",
    "check that it runs, and that its TCP port (3260, unless the URI names one) is open to the client",
)

PI_FILES = (
    "put Raspberry Pi's boot files, all of one release that knows the board, into the folder that [tftp] pi_firmware"
    " names: start*.elf, fixup*.dat and the board's .dtb, as in Debian's package raspi-firmware"
)
# The same for a Raspberry Pi (rule 6.24).  A new one reads its configuration before its first program.
_PI: Mapping[EventKind, Wait] = {
    K.ACKED: Wait(
        K.LOADER_SENT,
        60,
        "the board has its address but fetched nothing over TFTP: what it asked for first is not there, or TFTP does"
        " not reach it",
        f"{PI_FILES}; check that UDP port 69 and the ports above 1023 of this server are open to the board",
    ),
    K.LOADER_SENT: Wait(
        K.SCRIPT_SENT,
        90,
        "the board was sent its first program but never its config.txt: it found no start.elf (start4.elf on a Pi 4) in"
        " its folder, or its first program is of another release",
        PI_FILES,
    ),
    K.SCRIPT_SENT: Wait(
        K.KERNEL_SENT,
        90,
        "the board was sent its config.txt but not the whole of its kernel: its firmware is not all there, or too old"
        " for the board",
        PI_FILES,
    ),
}


def wait_after(events: Sequence[Event], reached: EventKind | None) -> Wait:
    """What a boot with these events waits for, which came as far as `reached`."""
    # A client that was denied, or whose first packet we never saw, waits as one that was just discovered.
    if reached in (None, K.UP, K.DISK_ATTACHED):
        return WAITS[K.DISCOVERED]
    if reached is K.SCRIPT_SENT and _boots_san(events):
        return _SAN
    if is_pi(events) and reached in _PI:
        return _PI[reached]
    asked_by_loader = any(e.kind is K.DISCOVERED and e.details.get("stage") == "loader" for e in events)
    silent = _SILENT_LOADERS.get(_family(events))
    if reached is K.ACKED and asked_by_loader and silent is None:
        return WAITS[K.SCRIPT_OFFERED]
    if reached is K.LOADER_SENT and silent is not None:
        return silent
    return WAITS[reached]


def _boots_san(events: Sequence[Event]) -> bool:
    """Whether the last script tells to boot from a disk with a loader of its own."""
    script = next((each for each in reversed(events) if each.kind is K.SCRIPT_SENT), None)
    return script is not None and "san" in script.details


def _family(events: Sequence[Event]) -> str:
    """The folder of the loader that was offered or sent last: `ipxe`, `pxelinux`, `grub`; empty before that."""
    telling = [each.details for each in events if each.kind in (K.OFFERED, K.LOADER_SENT)]
    named = [details.get("file") or details.get("boot_file") for details in telling]
    return str(named[-1]).lstrip("/").partition("/")[0] if named else ""


def is_pi(events: Sequence[Event]) -> bool:
    """Whether a Raspberry Pi's own firmware asked last, and no U-Boot or the like that it started."""
    asked = next((each for each in reversed(events) if each.kind is K.DISCOVERED), None)
    return asked is not None and asked.details.get("firmware") == Firmware.RASPBERRY_PI
