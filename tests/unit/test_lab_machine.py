from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.lab.client import LabFirmware, MachineSpec, qemu_argv
from netboot.lab.kvm import Accelerator
from netboot.lab.network import plan_lab

COMMON_BEFORE = """
qemu-system-x86_64
-name lab-01
-accel tcg
-m 1024
-smp 1
-nodefaults -no-user-config
-display none
-uuid d038f993-f8cb-50ac-b1c8-315dee7de606
"""
COMMON_AFTER = """
-device virtio-rng-pci
-chardev socket,id=console,path=/s/lab-01.console
-serial chardev:console
-qmp unix:/s/lab-01.qmp,server=on,wait=off
"""
GOLDEN = {
    LabFirmware.BIOS: f"""{COMMON_BEFORE}
-machine q35,graphics=off
-netdev tap,id=wire,ifname=tap1,script=no,downscript=no
-device virtio-net-pci,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1
{COMMON_AFTER}""",
    LabFirmware.UEFI: f"""{COMMON_BEFORE}
-machine q35
-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
-drive if=pflash,format=raw,file=/d/lab-01.vars.fd
-netdev tap,id=wire,ifname=tap1,script=no,downscript=no
-device virtio-net-pci,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1,romfile=
{COMMON_AFTER}""",
    LabFirmware.SECURE: f"""{COMMON_BEFORE}
-machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on
-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd
-drive if=pflash,format=raw,file=/d/lab-01.vars.fd
-netdev tap,id=wire,ifname=tap1,script=no,downscript=no
-device virtio-net-pci,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1,romfile=
{COMMON_AFTER}""",
}


def spec(firmware: LabFirmware, card: str = "virtio-net-pci") -> MachineSpec:
    return MachineSpec(
        seat=plan_lab(1).seats[0],
        firmware=firmware,
        accelerator=Accelerator.TCG,
        directory=Path("/d"),
        sockets=Path("/s"),
        card=card,
    )


@pytest.mark.parametrize("firmware", LabFirmware)
def test_the_machine_as_qemus_command_line(firmware: LabFirmware) -> None:
    assert qemu_argv(spec(firmware)) == GOLDEN[firmware].split()


def test_what_is_added_comes_last() -> None:
    plain = spec(LabFirmware.BIOS)
    server = replace(plain, more=("-kernel", "/vmlinuz"))
    assert qemu_argv(server) == [*qemu_argv(plain), "-kernel", "/vmlinuz"]


def test_another_card_keeps_its_rom_under_bios_only() -> None:
    assert "e1000,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1" in qemu_argv(spec(LabFirmware.BIOS, "e1000"))
    assert "e1000,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1,romfile=" in qemu_argv(spec(LabFirmware.UEFI, "e1000"))
