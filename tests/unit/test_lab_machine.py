from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.errors import InvalidInput
from netboot.lab.client import UBOOT_MAC, LabFirmware, MachineSpec, qemu_argv
from netboot.lab.config import LabDhcp
from netboot.lab.kvm import Accelerator
from netboot.lab.lab import LabSpec, plan_for
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
ARM64_BEFORE = COMMON_BEFORE.replace("x86_64", "aarch64")
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
    LabFirmware.UEFI_HTTP: f"""{COMMON_BEFORE}
-machine q35
-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
-drive if=pflash,format=raw,file=/d/lab-01.vars.fd
-fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n
-fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n
-netdev tap,id=wire,ifname=tap1,script=no,downscript=no
-device virtio-net-pci,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1,romfile=
{COMMON_AFTER}""",
    LabFirmware.ARM64: f"""{ARM64_BEFORE}
-machine virt -cpu cortex-a57
-drive if=pflash,format=raw,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd
-drive if=pflash,format=raw,file=/d/lab-01.vars.fd
-netdev tap,id=wire,ifname=tap1,script=no,downscript=no
-device virtio-net-pci,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1,romfile=
{COMMON_AFTER}""",
    LabFirmware.UBOOT: f"""{ARM64_BEFORE}
-machine virt -cpu cortex-a57 -bios /usr/lib/u-boot/qemu_arm64/u-boot.bin
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


@pytest.mark.parametrize("firmware", [LabFirmware.ARM64, LabFirmware.UBOOT])
def test_another_architecture_is_emulated_whatever_this_computer_can(firmware: LabFirmware) -> None:
    argv = qemu_argv(replace(spec(firmware), accelerator=Accelerator.KVM))
    assert argv[argv.index("-accel") + 1] == "tcg"


def test_boards_with_uboot_have_the_address_of_its_build() -> None:
    one = LabSpec(firmware=LabFirmware.UBOOT, dhcp=LabDhcp.OWN, data_dir=Path("/d"))
    assert [seat.mac for seat in plan_for(one).seats] == [UBOOT_MAC]
    with pytest.raises(InvalidInput, match="one client with u-boot"):
        plan_for(replace(one, count=2))


def test_what_is_added_comes_last() -> None:
    plain = spec(LabFirmware.BIOS)
    server = replace(plain, more=("-kernel", "/vmlinuz"))
    assert qemu_argv(server) == [*qemu_argv(plain), "-kernel", "/vmlinuz"]


def test_another_card_keeps_its_rom_under_bios_only() -> None:
    assert "e1000,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1" in qemu_argv(spec(LabFirmware.BIOS, "e1000"))
    assert "e1000,netdev=wire,mac=52:54:00:4e:42:01,bootindex=1,romfile=" in qemu_argv(spec(LabFirmware.UEFI, "e1000"))
