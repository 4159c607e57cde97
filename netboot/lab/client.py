"""A diskless machine: QEMU with a network card, firmware that boots from it, and a serial console.

`qemu_argv` is the whole machine as a pure function; `QemuClient` switches it on, watches and types on its
console, resets it and switches it off.

What was measured, on two idle cores without KVM (QEMU 7.2, Debian 12's SeaBIOS, iPXE ROM, OVMF 2022.11), in
seconds.  Power-on to the loader's script: BIOS 2.4, UEFI 9.9, of which 4 are EDK2's own wait for DHCP offers; to the
login prompt: BIOS 60, UEFI 73.  Kernel start to the initramfs, by itself: 9.3.  Neither machine type (q35, pc), nor
CPU model (qemu64 9.3, max 9.9, Nehalem 11.4), nor a larger translation cache (9.4), nor a second virtual CPU (9.0)
changes more than noise, nor do OVMF's switches for IPv6 (9.9 to 10.1).  So all of these stay QEMU's defaults, save
that one CPU leaves the other core to the daemon and other clients.
"""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from netboot.errors import Unavailable
from netboot.lab import qmp
from netboot.lab.console import Console
from netboot.lab.kvm import Accelerator
from netboot.lab.network import Seat
from netboot.lab.process import Child
from netboot.lab.screen import Screen
from netboot.model.mac import MacAddress

# Debian 12's names.  The VARS file is the machine's flash memory: each client gets a copy to write to.
OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
# The same for arm64 machines, and U-Boot, which is all the firmware that a board has.
AAVMF_CODE = Path("/usr/share/AAVMF/AAVMF_CODE.fd")
AAVMF_VARS = Path("/usr/share/AAVMF/AAVMF_VARS.fd")
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
# Debian's build of it gives every board this address, whatever its network card says.
UBOOT_MAC = MacAddress.parse("52:52:52:52:52:52")
# The build that enforces Secure Boot, and a flash in which Microsoft's keys are enrolled and it is switched on.
OVMF_SECURE_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
OVMF_SECURE_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")

_CONNECT_S = 10.0


class LabFirmware(StrEnum):
    """What a lab client starts with: SeaBIOS and the iPXE ROM of QEMU's card, or OVMF and its own PXE stack.

    `uefi-http` is OVMF that boots by HTTP and not by PXE.  `secure` is OVMF with Secure Boot on, which starts nothing
    that Microsoft did not sign.  `arm64` and `u-boot` are machines of another architecture: UEFI, and a bare board.
    """

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_HTTP = "uefi-http"
    SECURE = "secure"
    ARM64 = "arm64"
    UBOOT = "u-boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """One machine.  `directory` keeps its console log and flash memory, `sockets` its console and monitor.

    `more` are further words for QEMU: disks, a kernel.  A client of the lab has neither.
    """

    seat: Seat
    firmware: LabFirmware
    accelerator: Accelerator
    directory: Path
    sockets: Path
    memory_mib: int = 1024
    card: str = "virtio-net-pci"
    more: tuple[str, ...] = ()

    @property
    def console_log(self) -> Path:
        return self.directory / f"{self.seat.name}.console.log"

    @property
    def vars_file(self) -> Path:
        return self.directory / f"{self.seat.name}.vars.fd"

    @property
    def console_socket(self) -> Path:
        return self.sockets / f"{self.seat.name}.console"

    @property
    def monitor_socket(self) -> Path:
        return self.sockets / f"{self.seat.name}.qmp"


def qemu_argv(spec: MachineSpec) -> list[str]:
    """The machine as QEMU's command line.  QEMU connects to the console's socket, which must be there before."""
    seat = spec.seat
    is_arm = spec.firmware in _ARM64
    return [
        f"qemu-system-{'aarch64' if is_arm else 'x86_64'}",
        *("-name", seat.name),
        # The accelerator was found for this computer's own architecture.
        *("-accel", Accelerator.TCG if is_arm else spec.accelerator),
        *("-m", str(spec.memory_mib)),
        *("-smp", "1"),
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-uuid", str(seat.uuid)),
        *_FIRMWARE_ARGV[spec.firmware](spec),
        *("-netdev", f"tap,id=wire,ifname={seat.tap},script=no,downscript=no"),
        *("-device", _card(spec)),
        # EDK2 refuses to boot from the network without a source of random numbers in its newer releases.
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=console,path={spec.console_socket}"),
        *("-serial", "chardev:console"),
        *("-qmp", f"unix:{spec.monitor_socket},server=on,wait=off"),
        *spec.more,
    ]


# A graphics card that every kernel has a driver for, and a display of this size.
GRAPHICS = ("-device", "VGA,xres=1024,yres=768")


def _bios(spec: MachineSpec) -> list[str]:
    # graphics=off is what makes SeaBIOS, and iPXE through it, write to the serial port.
    return ["-machine", "q35,graphics=off"]


def _uefi(spec: MachineSpec) -> list[str]:
    return ["-machine", "q35", *_flash(OVMF_CODE, spec)]


def _uefi_http(spec: MachineSpec) -> list[str]:
    # Without these OVMF tries PXE over IPv4 and IPv6 first, each until it gives up.
    without_pxe = ("IPv4PXESupport", "IPv6PXESupport")
    said = [word for name in without_pxe for word in ("-fw_cfg", f"name=opt/org.tianocore/{name},string=n")]
    return [*_uefi(spec), *said]


def _secure(spec: MachineSpec) -> list[str]:
    # The system management mode guards the keys: this build of OVMF does not start without it.
    guarded = ("-global", "driver=cfi.pflash01,property=secure,value=on")
    return ["-machine", "q35,smm=on", *guarded, *_flash(OVMF_SECURE_CODE, spec)]


def _arm64(spec: MachineSpec) -> list[str]:
    return [*_BOARD, *_flash(AAVMF_CODE, spec)]


def _uboot(spec: MachineSpec) -> list[str]:
    return [*_BOARD, "-bios", str(UBOOT)]


_BOARD = ("-machine", "virt", "-cpu", "cortex-a57")


def _flash(code: Path, spec: MachineSpec) -> list[str]:
    return [
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={spec.vars_file}"),
    ]


_FIRMWARE_ARGV = {
    LabFirmware.BIOS: _bios,
    LabFirmware.UEFI: _uefi,
    LabFirmware.UEFI_HTTP: _uefi_http,
    LabFirmware.SECURE: _secure,
    LabFirmware.ARM64: _arm64,
    LabFirmware.UBOOT: _uboot,
}
_ARM64 = (LabFirmware.ARM64, LabFirmware.UBOOT)
# What EDK2's firmwares are made of: the code, and the flash memory that a new machine gets; and whose package that is.
_FLASH = {
    LabFirmware.UEFI: (OVMF_CODE, OVMF_VARS, "ovmf"),
    LabFirmware.UEFI_HTTP: (OVMF_CODE, OVMF_VARS, "ovmf"),
    LabFirmware.SECURE: (OVMF_SECURE_CODE, OVMF_SECURE_VARS, "ovmf"),
    LabFirmware.ARM64: (AAVMF_CODE, AAVMF_VARS, "qemu-efi-aarch64"),
}


def _card(spec: MachineSpec) -> str:
    # An empty romfile leaves the card without QEMU's iPXE, so that firmware boots with its own drivers and PXE.
    rom = "" if spec.firmware is LabFirmware.BIOS else ",romfile="
    # Boot index 0 is that of a kernel which QEMU itself loads, if `more` names one.
    return f"{spec.card},netdev=wire,mac={spec.seat.mac},bootindex=1{rom}"


class QemuClient:
    """A machine that can be switched on and off again and again; its flash memory and console log stay."""

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self._qemu: Child | None = None
        self._console: Console | None = None

    @property
    def name(self) -> str:
        return self.spec.seat.name

    @property
    def running(self) -> bool:
        return self._qemu is not None and self._qemu.running

    @property
    def console(self) -> Console:
        """The console since the machine was last switched on."""
        if self._console is None:
            raise Unavailable(f"{self.name} was never switched on", hint="call start() first")
        return self._console

    def start(self) -> None:
        """Switch the machine on."""
        self._prepare_flash()
        self.spec.console_socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self.spec.console_socket))
            listener.listen(1)
            self._qemu = Child.start(
                f"QEMU for {self.name}", qemu_argv(self.spec), log=self.spec.directory / f"{self.name}.qemu.log"
            )
            self._console = Console(self._accept(listener, self._qemu), self.spec.console_log)

    def screen(self) -> Screen:
        """What the machine's screen shows; it has one if `MachineSpec.more` gives it a graphics card."""
        file = self.spec.directory / f"{self.name}.ppm"
        qmp.execute(self.spec.monitor_socket, "screendump", filename=str(file))
        try:
            return Screen.parse(file.read_bytes())
        finally:
            file.unlink(missing_ok=True)

    def reset(self) -> None:
        """Press the reset button."""
        qmp.execute(self.spec.monitor_socket, "system_reset")

    def check(self) -> None:
        """`Unavailable` if the machine is not running, with QEMU's last words."""
        if self._qemu is None:
            raise Unavailable(f"{self.name} was never switched on", hint="call start() first")
        self._qemu.check()

    def stop(self) -> None:
        """Pull the plug.  The console's text can still be read."""
        if self._qemu:
            self._qemu.stop()
        if self._console:
            self._console.close()

    def login(self, *, timeout_s: float) -> None:
        """Wait for the root shell that `netboot.autologin=1` gives on the serial console."""
        self.console.expect(r"root@[\w-]+:[^\n]*# ?", timeout_s=timeout_s)
        # What drivers still find would get between the words of commands.
        self.command("dmesg --console-level crit")

    def command(self, command: str, *, timeout_s: float = 60.0) -> str:
        """Run a command on the console's shell after `login`; `Unavailable` when it fails."""
        output = self.console.command(command, timeout_s=timeout_s)
        if output.status != 0:
            raise Unavailable(f"{command!r} on {self.name} ended with status {output.status}: {output.text}")
        return output.text

    def _accept(self, listener: socket.socket, qemu: Child) -> socket.socket:
        listener.settimeout(_CONNECT_S)
        try:
            line, _ = listener.accept()
        except TimeoutError:
            qemu.check()
            raise Unavailable(f"{qemu.name} did not start within {_CONNECT_S:g} s") from None
        line.settimeout(None)
        return line

    def _prepare_flash(self) -> None:
        if self.spec.firmware not in _FLASH or self.spec.vars_file.exists():
            return
        code, new_flash, package = _FLASH[self.spec.firmware]
        if not (code.exists() and new_flash.exists()):
            raise Unavailable(f"{code.name} is not there", hint=f"apt-get install {package}")
        shutil.copyfile(new_flash, self.spec.vars_file)
