"""Kernel and initrd as a client fetches them: by which path, of which versions, and what it tells when one went out.

The path is the same over HTTP and TFTP.  The MAC address in it says whose target is asked; only what that target
boots can be had by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from netboot.model.event import EventKind
from netboot.model.image import Artefact, Version
from netboot.model.mac import MacAddress
from netboot.model.target import BootTarget, ImageTarget, MenuTarget

KERNEL, INITRD = "vmlinuz", "initrd.img"

SENT: Mapping[str, EventKind] = {KERNEL: EventKind.KERNEL_SENT, INITRD: EventKind.INITRD_SENT}


def artefact_path(mac: MacAddress, version: Version, file: str) -> str:
    """The path of a version's kernel or initrd below the boot listener, and below TFTP's root."""
    return f"/boot/{mac.dashed}/{version.image}/{version.number}/{file}"


def artefact(version: Version, file: str) -> Artefact:
    """The file behind `KERNEL` or `INITRD`."""
    return {KERNEL: version.kernel, INITRD: version.initrd}[file]


def bootable(target: BootTarget) -> tuple[ImageTarget, ...]:
    """The images that a target lets its client boot."""
    match target:
        case ImageTarget():
            return (target,)
        case MenuTarget():
            return target.entries
    return ()


def bootable_version(target: BootTarget, label: str) -> Version | None:
    """The version of this label, None when it is not what the target boots."""
    return next((image.version for image in bootable(target) if image.version.label == label), None)
