"""A draft as a machine: what QEMU is told, so that a draft can be changed while it runs, as a person would.

The machine reaches the network as we do, and nobody reaches it.  Its console is our terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netboot.images.attach import tree_of
from netboot.images.draft import Draft
from netboot.images.kernel import newest_kernel
from netboot.images.publish import copy_kernel

# The root is writable and no overlay is put on it: that is what a draft is for.
_KERNEL_LINE = "root=LABEL=netboot-root rw console=ttyS0 net.ifnames=0 netboot.autologin=1"
# What ends the machine from the keyboard, beside its own poweroff.
ESCAPE = "Ctrl-A X"


def take_kernel(draft: Draft) -> tuple[Path, Path]:
    """Copy the draft's newest kernel and its initrd beside its disk, since QEMU starts them."""
    with tree_of(draft) as tree:
        copy_kernel(tree, newest_kernel(tree), draft.folder)
    return draft.folder / "vmlinuz", draft.folder / "initrd.img"


def machine_argv(
    disk: Path, kernel: Path, initrd: Path, *, accelerator: str, memory_mib: int, more: Sequence[str] = ()
) -> list[str]:
    """QEMU with the draft's own disk, writable; `more` are further words for the kernel."""
    # A comma in a value is written twice.
    file = str(disk).replace(",", ",,")
    # fmt: off
    return [
        "qemu-system-x86_64",
        "-accel", accelerator,
        "-m", str(memory_mib),
        "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none",
        "-serial", "mon:stdio",
        "-drive", f"if=virtio,format=qcow2,discard=unmap,detect-zeroes=unmap,file={file}",
        "-nic", "user,model=virtio-net-pci",
        "-device", "virtio-rng-pci",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", " ".join([_KERNEL_LINE, *more]),
    ]
    # fmt: on
