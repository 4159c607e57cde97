"""Whether KVM really runs guests here.

That /dev/kvm exists proves little: inside another virtual machine it may be there and yet run a guest fifty
times slower than emulation, or not at all.  So we let a guest prove it: a boot sector of seven bytes that asks
QEMU to end with a status of our choice, reached through the whole of SeaBIOS.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from netboot.errors import Unavailable
from netboot.lab.process import require
from netboot.system.commands import run

DEVICE = Path("/dev/kvm")

# mov al, 0x10; out 0xf4, al; then hlt for ever if nobody listens.  QEMU's isa-debug-exit ends with 2n+1.
_CODE = bytes.fromhex("b0 10 e6 f4 f4 eb fd")
BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"
_PROOF = 0x10 << 1 | 1

# Emulation takes 0.1 s to get there, and KVM on hardware less.  On a virtual machine whose /dev/kvm is no use the
# probe arrived after 4 s, and a Linux kernel had not said a word after 90 s: arriving late is no proof.
LIMIT_S = 2.0


class Accelerator(StrEnum):
    """How QEMU runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@cache  # one answer a process: what the machine can do does not change while we run
def find_accelerator() -> Accelerator:
    """KVM if a guest proved that it works, emulation otherwise."""
    return Accelerator.KVM if DEVICE.exists() and runs_guests(Accelerator.KVM) else Accelerator.TCG


def runs_guests(accelerator: Accelerator) -> bool:
    """Boot the smallest guest there is; whether it came to its end in time."""
    require("qemu-system-x86_64")
    with tempfile.NamedTemporaryFile(prefix="netboot-probe-") as floppy:
        floppy.write(BOOT_SECTOR)
        floppy.flush()
        try:
            ended = run(_argv(accelerator, floppy.name), timeout_s=LIMIT_S, check=False)
        except Unavailable:  # out of time
            return False
    return ended.exit_code == _PROOF


def _argv(accelerator: Accelerator, floppy: str) -> Sequence[str]:
    return [
        "qemu-system-x86_64",
        *("-accel", accelerator),
        *("-m", "64"),
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-drive", f"file={floppy},format=raw,if=floppy,readonly=on"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"),
    ]
