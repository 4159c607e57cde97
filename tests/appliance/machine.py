"""The appliance: a server in QEMU, with a distribution's kernel and a disk, on the lab's wire."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netboot.errors import Unavailable
from netboot.lab.client import LabFirmware, MachineSpec, QemuClient
from netboot.lab.kvm import find_accelerator
from netboot.lab.lab import KERNEL_ARGS
from netboot.lab.namespace import SOCKETS
from netboot.lab.network import LabPlan, Seat
from netboot.model.image import Version
from tests.appliance.disk import HOME

_KERNEL_LINE = " ".join(("root=/dev/vda rw quiet net.ifnames=0 systemd.hostname=appliance", *KERNEL_ARGS))


def make_machine(seat: Seat, directory: Path, *more: str) -> QemuClient:
    spec = MachineSpec(
        seat=seat,
        firmware=LabFirmware.BIOS,
        accelerator=find_accelerator(),
        directory=directory,
        sockets=SOCKETS,
        more=more,
    )
    return QemuClient(spec)


class Appliance:
    """The server; `image` is what it runs itself, and stays as it is; `disks` are its /dev/vdb, /dev/vdc and so on."""

    def __init__(self, seat: Seat, directory: Path, *, image: Version, disks: Sequence[Path]) -> None:
        # fmt: off
        self.machine = make_machine(
            seat, directory,
            "-kernel", str(image.kernel.path), "-initrd", str(image.initrd.path), "-append", _KERNEL_LINE,
            "-drive", f"if=virtio,format=raw,snapshot=on,file={image.root.path}",
            *(word for disk in disks for word in ("-drive", f"if=virtio,format=raw,cache=unsafe,file={disk}")),
        )
        # fmt: on

    def start(self, *, timeout_s: float) -> None:
        """Switch it on, until its shell answers."""
        self.machine.start()
        self.machine.login(timeout_s=timeout_s)

    def furnish(self, plan: LabPlan) -> None:
        """Put the disk of `make_disk` and the address in place; the daemon is not started yet."""
        self.run(f"mkdir {HOME} && mount /dev/vdb {HOME}")
        self.run(f"cp -r {HOME}/etc/. /etc && systemctl daemon-reload")
        self.run(f"ip link set lo up && ip link set eth0 up && ip address add {plan.server} dev eth0")

    def run(self, command: str, *, timeout_s: float = 60.0) -> str:
        return self.machine.command(command, timeout_s=timeout_s)

    def last_words(self) -> str:
        """The end of its console and what its daemon said, as far as it still answers."""
        try:
            journal = self.run("journalctl --unit netboot --unit nfs-server --no-pager --lines 40", timeout_s=20)
        except Unavailable as error:
            journal = error.message
        return f"{self.machine.console.last_lines(10)}\n--- journal of the appliance\n{journal}"
