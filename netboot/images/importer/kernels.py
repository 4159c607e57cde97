"""The kernel of an imported system: which one is taken, and where its file is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from netboot.errors import InvalidInput
from netboot.images.kernel import newest_of

_PREFIX = "vmlinuz-"
# Fedora's rescue kernels are copies of others, and have no modules of their own.
_RESCUE = "-rescue-"


@dataclass(frozen=True, slots=True)
class KernelFile:
    """A kernel and where it lies; `in_boot` when that is where the program that makes an initrd looks for it."""

    version: str
    place: str

    @property
    def in_boot(self) -> bool:
        return self.place.startswith("boot/")


def kernel_files(boot: Iterable[str], modules: Iterable[str]) -> tuple[KernelFile, ...]:
    """The kernels by the names in /boot, and those whose only file lies with their modules (Fedora, Arch).

    `modules` are the versions in /usr/lib/modules whose folder has a vmlinuz.
    """
    prefix = "vmlinuz-"
    # Rescue kernels are copies of others, and have no modules of their own.
    versions = [
        name.removeprefix(prefix)
        for name in boot
        if name.startswith(prefix) and not name.startswith("vmlinuz-0-rescue")
    ]
    found = [KernelFile(version, f"boot/{prefix}{version}") for version in versions]
    found += [KernelFile(each, f"usr/lib/modules/{each}/vmlinuz") for each in modules if each not in versions]
    return tuple(found)


def choose_kernel(found: Collection[KernelFile], *, wanted: str | None, hint: str) -> KernelFile:
    """The kernel that is wanted, else the newest; `InvalidInput` with the hint if there is none."""
    if not found:
        raise InvalidInput("the image has no kernel", hint=hint)
    version = wanted or newest_of(kernel.version for kernel in found)
    for kernel in found:
        if kernel.version == version:
            return kernel
    there = ", ".join(kernel.version for kernel in found)
    raise InvalidInput(f"the image has no kernel {wanted}", hint=f"there is {there}")
