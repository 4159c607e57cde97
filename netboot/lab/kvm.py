"""Whether KVM really runs guests here.

That /dev/kvm exists proves little: inside another virtual machine it may be there and yet run a guest fifty
times slower than emulation, or not at all.  So we let a guest prove it: a boot sector of seven bytes that asks
QEMU to end with a status of our choice, reached through the whole of SeaBIOS.
"""

from __future__ import annotations

import tempfile
import time
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

# Longer than emulation takes to get there on the slowest machine.
LIMIT_S = 10.0
# Both take about 0.1 s where KVM is real.  A KVM that is itself emulated was seen to take 1.5 s to 4 s, and a Linux
# kernel in it had not said a word after 90 s: arriving late is no proof.  Measured against emulation on the same
# machine at the same time, so that a busy machine judges no differently from an idle one.  It is not waited for any
# longer either: each lab is a process that asks anew, and such a KVM may never answer.
_SLOWER_AT_MOST = 3.0
_TRIES = 2


class Accelerator(StrEnum):
    """How QEMU runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@cache  # one answer a process: what the machine can do does not change while we run
def find_accelerator() -> Accelerator:
    """KVM if a guest proved that it works, emulation otherwise."""
    if not DEVICE.exists():
        return Accelerator.TCG
    emulated = _best(Accelerator.TCG, LIMIT_S)
    virtualized = _best(Accelerator.KVM, LIMIT_S if emulated is None else _SLOWER_AT_MOST * emulated)
    return better(emulated_s=emulated, virtualized_s=virtualized)


def better(*, emulated_s: float | None, virtualized_s: float | None) -> Accelerator:
    """Which to use, by how long the proof took with each; None where it did not come to its end."""
    if virtualized_s is None:
        return Accelerator.TCG
    works = emulated_s is None or virtualized_s <= _SLOWER_AT_MOST * emulated_s
    return Accelerator.KVM if works else Accelerator.TCG


def proof_s(accelerator: Accelerator, limit_s: float) -> float | None:
    """Boot the smallest guest there is: the seconds until it came to its end, None if it did not within `limit_s`."""
    require("qemu-system-x86_64")
    with tempfile.NamedTemporaryFile(prefix="netboot-probe-") as floppy:
        floppy.write(BOOT_SECTOR)
        floppy.flush()
        began = time.monotonic()
        try:
            ended = run(_argv(accelerator, floppy.name), timeout_s=limit_s, check=False)
        except Unavailable:  # out of time
            return None
    return time.monotonic() - began if ended.exit_code == _PROOF else None


def _best(accelerator: Accelerator, limit_s: float) -> float | None:
    proofs = [proof_s(accelerator, limit_s) for _ in range(_TRIES)]
    return min((each for each in proofs if each is not None), default=None)


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
