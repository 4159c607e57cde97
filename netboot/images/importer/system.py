"""Making a tree that came from elsewhere one that boots from the network: packages, client side, initrd.

The tree is a stranger's.  Nothing in it is followed out of it, and what runs, runs in the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netboot import initramfs
from netboot.errors import InvalidInput, NetbootError
from netboot.images.clock import Clock
from netboot.images.importer.elf import HEADER_BYTES, arch_of
from netboot.images.importer.generators import check_packages, choose_generator
from netboot.images.importer.kernels import KernelFile, choose_kernel, kernel_files
from netboot.images.importer.options import ImportOptions
from netboot.images.packages import installed_packages
from netboot.system.beneath import exists_beneath, names_beneath, read_beneath
from netboot.system.machine import native_arch
from netboot.system.sandbox import call_in, run_in, stream_in

_NAMES = ("etc/os-release", "usr/lib/os-release")
_SYSTEMD = ("usr/lib/systemd/systemd", "lib/systemd/systemd")
_APT = "usr/bin/apt-get"
# Programs of which every system has one, to tell for which machines it is.
_PROGRAMS = ("usr/lib/systemd/systemd", "lib/systemd/systemd", "usr/bin/dash", "bin/sh", "usr/bin/bash", "bin/busybox")
# What boots, besides what our client side needs, by the distribution's name; other names have their kernels.
_KERNEL_PACKAGES = {"debian": "linux-image-{arch}", "ubuntu": "linux-image-generic", "raspbian": "linux-image-arm64"}


def check_system(tree: Path, source: Path) -> str:
    """That there is a system in the tree, for machines like this; gives their kind, as `amd64`."""
    if not any(exists_beneath(tree, name) for name in _NAMES):
        there = ", ".join(names_beneath(tree, ".")[:8]) or "nothing"
        raise InvalidInput(
            f"{source} holds no system: it has no /etc/os-release",
            hint=f"its top must be the system's root; at its top is {there}",
        )
    arch = next((found for name in _PROGRAMS if (found := _arch(tree, name))), None)
    if arch is not None and arch != native_arch():
        raise InvalidInput(
            f"{source} holds a system for {arch}, and this machine is {native_arch()}",
            hint=f"import it on a machine for {arch}: its own programs make the initrd",
        )
    return arch or native_arch()


def install_packages(tree: Path, options: ImportOptions, clock: Clock) -> None:
    """Install what was asked for with the image's own apt, and what our client side needs with it."""
    if not options.packages:
        return
    if not exists_beneath(tree, _APT):
        raise InvalidInput("packages cannot be installed: the image has no apt", hint="install them in the source")
    clock.begin("installing packages")
    # An image that has dracut keeps it: the two cannot be installed together.
    generator = initramfs.find_generator(lambda name: exists_beneath(tree, name)) or initramfs.INITRAMFS_TOOLS
    if initramfs.DRACUT.name in options.packages:
        generator = initramfs.DRACUT
    names = sorted({*options.packages, *generator.packages})
    quiet = ("-q", "-y", "-o", "APT::Install-Recommends=false", "-o", "Dpkg::Options::=--force-unsafe-io")
    hint = "does the image know a package archive that can be reached from here, and these packages?"
    # The kernel's package would make an initrd, which is made later on.
    prefix = ("env", "INITRD=No", "DEBIAN_FRONTEND=noninteractive")
    for words in (("update",), ("install", "--no-install-recommends", "--", *names)):
        for _ in stream_in(tree, [*prefix, "apt-get", *quiet, *words], network=True, hint=hint):
            clock.tick()


def make_bootable(tree: Path, options: ImportOptions, arch: str, clock: Clock) -> str:
    """Put our client side into the tree and make its initrd; gives the kernel's version."""
    clock.begin("making the initrd")
    apt = exists_beneath(tree, _APT)
    kernel = choose_kernel(_kernels(tree), wanted=options.kernel, hint=_kernel_hint(tree, arch, uses_apt=apt))
    if not any(exists_beneath(tree, name) for name in _SYSTEMD):
        raise InvalidInput(
            "the image has no systemd, which tells that a client is up",
            hint="install it with --packages systemd-sysv" if apt else "install it in the source",
        )
    generator = choose_generator(lambda name: exists_beneath(tree, name), uses_apt=apt)
    check_packages(generator, installed_packages(tree).keys())
    call_in(tree, _furnishing(kernel, generator))
    run_in(tree, ["systemctl", "--quiet", "enable", *initramfs.UNITS])
    initrd = f"/boot/initrd.img-{kernel.version}"
    for _ in stream_in(tree, generator.make(kernel.version, initrd), hint=f"{generator.name} of the image failed"):
        clock.tick()
    return kernel.version


def _furnishing(kernel: KernelFile, generator: initramfs.Generator) -> Callable[[Path], None]:
    contents = initramfs.files(generator)

    def furnish(root: Path) -> None:
        initramfs.install(root, contents)
        if not kernel.in_boot:
            (root / "boot").mkdir(exist_ok=True)
            (root / f"boot/vmlinuz-{kernel.version}").write_bytes((root / kernel.place).read_bytes())

    return furnish


def _kernels(tree: Path) -> tuple[KernelFile, ...]:
    modules = [
        name
        for name in names_beneath(tree, "usr/lib/modules")
        if exists_beneath(tree, f"usr/lib/modules/{name}/vmlinuz")
    ]
    return kernel_files(names_beneath(tree, "boot"), modules)


def _kernel_hint(tree: Path, arch: str, *, uses_apt: bool) -> str:
    package = _KERNEL_PACKAGES.get(distribution(tree), "").format(arch=arch)
    if uses_apt and package:
        return f"container images have none: add --packages {package},systemd-sysv"
    return "container images have none: install one in the source, or give /boot a partition that can be read"


def distribution(tree: Path) -> str:
    """The ID of os-release(5), as `debian`; nothing where there is none."""
    for name in _NAMES:
        try:
            with read_beneath(tree, name) as file:
                text = file.read(1 << 16).decode("utf-8", "replace")
        except OSError:
            continue
        fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return fields.get("ID", "").strip("\"'")
    return ""


def _arch(tree: Path, name: str) -> str | None:
    try:
        with read_beneath(tree, name) as file:
            return arch_of(file.read(HEADER_BYTES))
    except (OSError, NetbootError):
        return None
