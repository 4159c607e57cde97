"""Whether a machine can start what was chosen for it, told before it downloads anything.

A refusal, never another choice: another loader in place of one that cannot be had would start what the admin chose it
to avoid.
"""

from __future__ import annotations

from typing import Protocol

from netboot.boot.contradictions import contradiction
from netboot.boot.layers import CLIENT_RECORD
from netboot.boot.loaders import is_script_next, loader_name, runs_ipxe_scripts, starts
from netboot.model.loader import LoaderFile
from netboot.model.request import ANY_ARCH, Arch, BootRequest, arch_name
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, MenuTarget, SanTarget


class Loaders(Protocol):
    """What loaders there are to be sent."""

    def has(self, name: str) -> bool: ...

    def remedy(self, name: str) -> str: ...


class EveryLoader:
    """All loaders of the world."""

    def has(self, name: str) -> bool:
        return True

    def remedy(self, name: str) -> str:
        return f"nothing, {name} is there"


# What a kernel of one architecture can be started by; an arch that is not listed is let through, since
# firmware is known to send wrong numbers (9 for x86-64) and the loader would say more than we can.
_MACHINES: dict[int, str] = {
    Arch.ARM32_UEFI: "arm",
    Arch.ARM32_HTTP: "arm",
    Arch.ARM32_UBOOT: "arm",
    Arch.ARM32_UBOOT_HTTP: "arm",
    Arch.ARM64_UEFI: "arm64",
    Arch.ARM64_HTTP: "arm64",
    Arch.ARM64_UBOOT: "arm64",
    Arch.ARM64_UBOOT_HTTP: "arm64",
    Arch.RV64_UEFI: "riscv64",
    Arch.RV64_HTTP: "riscv64",
    Arch.LOONG64_UEFI: "loong64",
    Arch.LOONG64_HTTP: "loong64",
    Arch.RASPBERRY_PI: "arm64",
    Arch.BIOS: "amd64",
    Arch.BIOS_HTTP: "amd64",
    Arch.X64_UEFI: "amd64",
    Arch.X64_HTTP: "amd64",
}


def fitting(target: BootTarget, request: BootRequest, loaders: Loaders, *, loader_said_by: str) -> BootTarget:
    """The target, or why this machine cannot start it: another architecture's kernel, a loader that cannot or has
    nothing for it, or one that is not on this server.  `loader_said_by` is the source of the loader's setting."""
    match target:
        case MenuTarget() if request.arch == Arch.RASPBERRY_PI:
            hint = f"add it: netboot client add {target.mac} --name NAME --image IMAGE"
            return DeniedTarget(mac=target.mac, known=False, reason="a Raspberry Pi cannot show a menu", hint=hint)
        case ImageTarget():
            unfit = _unfit_image(target, request, loader_said_by)
        case SanTarget():
            unfit = _unfit_san(target, request, loader_said_by)
        case _:
            return target
    if unfit is not None or request.arch == ANY_ARCH or is_script_next(request, target.loader):
        return unfit or target
    name = loader_name(target.loader, request.arch)
    if name is not None and not loaders.has(name):
        return _refused(target, f"the loader {name} is not on this server", hint=loaders.remedy(name))
    return target


def _unfit_image(target: ImageTarget, request: BootRequest, loader_said_by: str) -> DeniedTarget | None:
    machine = _MACHINES.get(request.arch)
    if machine not in (None, target.version.arch):
        return _refused(
            target,
            f"{target.version.label} is for {target.version.arch}, this client is {machine}",
            hint=f"assign an image that is built for {machine}",
        )
    if not starts(target.loader, request.arch):
        return _refused(
            target,
            f"there is no {target.loader} for this client's architecture, {arch_name(request.arch)}",
            hint=_another_loader(target, loader_said_by, "name another for that architecture"),
        )
    if found := contradiction(target):
        return _refused(target, found.reason, hint=found.hint)
    return None


def _unfit_san(target: SanTarget, request: BootRequest, loader_said_by: str) -> DeniedTarget | None:
    if not runs_ipxe_scripts(target.loader):
        return _refused(
            target,
            f"{target.hostname} boots from a disk over iSCSI, which iPXE alone can, and its loader is {target.loader}",
            hint=_another_loader(target, loader_said_by, "name ipxe"),
        )
    if request.arch == ANY_ARCH or is_script_next(request, target.loader):
        return None
    # `auto` is iPXE where there is any: not on bare boards, which start without a loader of ours.
    if isinstance(target.loader, LoaderFile) or _is_ipxe(loader_name(target.loader, request.arch)):
        return None
    return _refused(
        target,
        f"{target.hostname} boots from a disk over iSCSI by iPXE, and there is none for this client's architecture,"
        f" {arch_name(request.arch)}",
        hint=f"have it boot an image: netboot client set {target.hostname} --san none --image IMAGE",
    )


def _is_ipxe(name: str | None) -> bool:
    return name is not None and LoaderFile(name).runs_ipxe_scripts


def _another_loader(target: ImageTarget | SanTarget, said_by: str, wanted: str) -> str:
    """How to get another loader, where the one that does not fit was named."""
    if said_by == CLIENT_RECORD:
        return f"let its firmware decide: netboot client set {target.hostname} --loader auto"
    return f"{wanted} in the {said_by}"


def _refused(target: ImageTarget | SanTarget, reason: str, *, hint: str) -> DeniedTarget:
    return DeniedTarget(mac=target.mac, known=True, reason=reason, hint=hint)
