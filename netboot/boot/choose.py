"""The one resolver: what a client shall boot.

DHCP, TFTP, HTTP, the command line and the dashboard all call `choose`; nobody else decides.  It is a pure
function of the request and a frozen policy, so two askers can never disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from netboot.boot.loaders import starts
from netboot.config import UnknownClients, UnknownPolicy
from netboot.errors import NetbootError
from netboot.model.client import Client, LoaderChoice, RootMode
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import Arch, BootRequest, arch_name
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, MenuTarget


class Clients(Protocol):
    """Who is known."""

    def find(self, mac: MacAddress) -> Client | None: ...


class Versions(Protocol):
    """What can be booted.  `list` gives every version, oldest first within an image.

    Both raise `NetbootError` for a store or a version that is damaged, which is not the same as absent.
    """

    def find(self, ref: VersionRef) -> Version | None: ...

    def list(self) -> Sequence[Version]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPolicy:
    """Everything that a choice depends on.

    `machine_id_seed` is the installation's secret, so that machine ids cannot be guessed from MAC addresses.
    """

    clients: Clients
    versions: Versions
    unknown: UnknownClients = UnknownClients()
    kernel_args: tuple[str, ...] = ()
    upper_size: str = "50%"
    shell: bool = False
    machine_id_seed: bytes = b""


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


def choose(request: BootRequest, policy: BootPolicy) -> BootTarget:
    """What the asking client shall boot, with the reason."""
    client = policy.clients.find(request.mac)
    try:
        target = _unknown(request.mac, policy) if client is None else _known(client, policy)
    except NetbootError as error:
        hint = error.hint or "see what there is: netboot image list"
        return DeniedTarget(mac=request.mac, known=client is not None, reason=error.message, hint=hint)
    return _fitting(target, request)


def machine_id(mac: MacAddress, seed: bytes) -> str:
    """32 hex digits, the same for a client as long as the installation's `seed` lives (machine-id(5))."""
    return hashlib.blake2b(mac.octets, key=seed[:64], digest_size=16, person=b"machine-id").hexdigest()


def _known(client: Client, policy: BootPolicy) -> BootTarget:
    if client.image is None:
        return DeniedTarget(
            mac=client.mac,
            known=True,
            reason=f"client {client.name} has no image",
            hint=f"assign one: netboot client set {client.name} --image IMAGE",
        )
    version = policy.versions.find(client.image)
    if version is None:
        return _no_version(client.mac, client.image, known=True)
    return ImageTarget(
        mac=client.mac,
        hostname=client.name,
        machine_id=machine_id(client.mac, policy.machine_id_seed),
        version=version,
        reason=f"client {client.name} is assigned {client.image}",
        root=client.root,
        loader=client.loader,
        upper_size=policy.upper_size,
        kernel_args=(*version.kernel_args, *policy.kernel_args, *client.kernel_args),
        shell=policy.shell or client.shell,
    )


def _unknown(mac: MacAddress, policy: BootPolicy) -> BootTarget:
    match policy.unknown.policy:
        case UnknownPolicy.NOTHING:
            return DeniedTarget(
                mac=mac,
                known=False,
                reason=f"client {mac} is unknown",
                hint=f"add it: netboot client add {mac} --name NAME --image IMAGE",
            )
        case UnknownPolicy.MENU:
            return _menu(mac, policy)
        case UnknownPolicy.IMAGE:
            ref = policy.unknown.image
            version = policy.versions.find(ref) if ref else None
            if ref is None or version is None:
                return _no_version(mac, ref, known=False)
            return _anonymous(mac, version, policy, reason=f"unknown clients get {ref}")


def _menu(mac: MacAddress, policy: BootPolicy) -> BootTarget:
    newest = {version.image: version for version in policy.versions.list()}
    if not newest:
        return _no_version(mac, None, known=False)
    reason = "unknown clients get a menu"
    entries = tuple(_anonymous(mac, newest[name], policy, reason=reason) for name in sorted(newest))
    return MenuTarget(mac=mac, entries=entries, reason=reason)


def _anonymous(mac: MacAddress, version: Version, policy: BootPolicy, *, reason: str) -> ImageTarget:
    return ImageTarget(
        mac=mac,
        hostname=f"client-{mac.octets.hex()}",
        machine_id=machine_id(mac, policy.machine_id_seed),
        version=version,
        reason=reason,
        root=RootMode.NFS,
        loader=LoaderChoice.AUTO,
        upper_size=policy.upper_size,
        kernel_args=(*version.kernel_args, *policy.kernel_args),
        shell=policy.shell,
    )


def _no_version(mac: MacAddress, ref: VersionRef | None, *, known: bool) -> DeniedTarget:
    if ref is None:
        return DeniedTarget(
            mac=mac, known=known, reason="there is no image yet", hint="build one: netboot image build debian-minimal"
        )
    return DeniedTarget(
        mac=mac,
        known=known,
        reason=f"image {ref} does not exist",
        hint="see what there is: netboot image list",
    )


def _fitting(target: BootTarget, request: BootRequest) -> BootTarget:
    """Refuse what this machine cannot start before it downloads it: another architecture's kernel, or a loader
    family that has none for it.  Another loader in its place would start what the admin chose it to avoid."""
    if not isinstance(target, ImageTarget):
        return target
    machine = _MACHINES.get(request.arch)
    if machine not in (None, target.version.arch):
        return DeniedTarget(
            mac=target.mac,
            known=True,
            reason=f"{target.version.label} is for {target.version.arch}, this client is {machine}",
            hint=f"assign an image that is built for {machine}",
        )
    if not starts(target.loader, request.arch):
        return DeniedTarget(
            mac=target.mac,
            known=True,
            reason=f"there is no {target.loader} for this client's architecture, {arch_name(request.arch)}",
            hint=f"let its firmware decide: netboot client set {target.hostname} --loader auto",
        )
    return target
