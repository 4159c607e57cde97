"""Kernel and initrd as a client fetches them: by which path, of which versions, and what it tells when one went out.

The path is the same over HTTP and TFTP.  The MAC address in it says whose target is asked; only versions of the images
that this target boots can be had by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netboot.model.event import EventKind
from netboot.model.image import Artefact, Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
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


def fetchable(target: BootTarget, ref: VersionRef, find: Callable[[VersionRef], Version | None]) -> Version | None:
    """The version `ref` if the target's client may fetch it, None when it may not, or there is none.

    Any version of an image that it boots: between its script and its kernel a version may be published, or a tag be
    moved, and what the script names must still be there.
    """
    booted = [image.version for image in bootable(target) if image.version.image == ref.image]
    # What it boots now is at hand; the other case is rare.
    return next((each for each in booted if each.number == ref.selector), None) or (find(ref) if booted else None)
