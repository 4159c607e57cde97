"""From a whole tree to a published version: what builder and importer have in common.

The tree becomes a file system, kernel and initrd are laid beside it, all of it is looked at and only then published.
The tree may be anybody's: links in it are followed within it, and programs of it run in a sandbox.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netboot import initramfs
from netboot.errors import NetbootError, Unavailable
from netboot.images.clock import Clock
from netboot.images.identity import filesystem_uuids
from netboot.images.lint import Allowance
from netboot.images.linting import refuse_secrets
from netboot.images.manifest import Manifest, Origin
from netboot.images.measure import measure_whole
from netboot.images.packages import installed_packages
from netboot.images.prepare import Table
from netboot.images.preparing import load_table, prepare
from netboot.images.staging import Staging
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.system.beneath import names_beneath, read_beneath
from netboot.system.commands import run
from netboot.system.sandbox import run_in
from netboot.system.users import user_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What is known of a version before it is made."""

    origin: Origin
    arch: str
    size_bytes: int
    kernel_args: tuple[str, ...] = ()
    build: Mapping[str, str] = field(default_factory=dict)
    table: Table = field(default_factory=load_table)
    allowed: tuple[Allowance, ...] = ()
    note: str = ""


def publish_tree(
    tree: Path, kernel_version: str, edition: Edition, *, store: ImageStore, staging: Staging, clock: Clock
) -> Version:
    """Publish the staged version, made from `tree`; its /boot has the kernel `kernel_version` and its initrd."""
    clock.begin("removing identities")
    packages = installed_packages(tree)
    check_initrd(tree, kernel_version)
    copy_kernel(tree, kernel_version, staging.version)
    prepare(tree, edition.table)
    clock.begin("looking for secrets")
    refuse_secrets(tree, edition.allowed)
    clock.begin("writing the file system")
    root = make_filesystem(staging, tree, edition.size_bytes)
    clock.begin("checking the result")
    run(["e2fsck", "-f", "-n", root], timeout_s=600)
    clock.begin("computing digests")
    files = measure_whole(staging.version, staging.image, staging.number, lambda size_bytes: clock.tick())
    clock.begin("publishing")
    manifest = Manifest(
        image=staging.image,
        number=staging.number,
        origin=edition.origin,
        created_at=round(time.time(), 3),
        created_by=user_name(),
        arch=edition.arch,
        filesystem="ext4",
        kernel_version=kernel_version,
        kernel_args=edition.kernel_args,
        files=files,
        packages=packages,
        build=edition.build,
        note=edition.note,
    )
    return store.publish(staging, manifest)


def make_filesystem(staging: Staging, tree: Path, size_bytes: int) -> Path:
    """One raw ext4 file: blocks of 4 KiB, as its hash tree has, no journal, which a read-only mount would replay."""
    file = staging.version / "root.ext4"
    seed, own = filesystem_uuids(staging.image, staging.number)
    with file.open("wb") as output:
        output.truncate(size_bytes)
    # fmt: off
    run(
        ["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-L", "netboot-root",
         "-O", "^has_journal,^orphan_file,metadata_csum_seed", "-U", str(seed), "-E", f"hash_seed={seed}",
         "-d", tree, file],
        timeout_s=900, hint="if there was no space in it, raise its size: size in the recipe, --size of an import",
    )
    # fmt: on
    run(["tune2fs", "-U", str(own), file])
    return file


def kernels(tree: Path) -> tuple[str, ...]:
    """The versions of the kernels in the tree's /boot."""
    prefix = "vmlinuz-"
    return tuple(name.removeprefix(prefix) for name in names_beneath(tree, "boot") if name.startswith(prefix))


def copy_kernel(tree: Path, version: str, target: Path) -> None:
    """Copy this kernel and its initrd next to the root."""
    for source, name in ((f"boot/vmlinuz-{version}", "vmlinuz"), (f"boot/initrd.img-{version}", "initrd.img")):
        with read_beneath(tree, source) as reader, (target / name).open("wb") as writer:
            shutil.copyfileobj(reader, writer)


def check_initrd(tree: Path, version: str) -> None:
    """Look at an initrd before anybody boots it: can it find its root?"""
    initrd = f"boot/initrd.img-{version}"
    if initrd.removeprefix("boot/") not in names_beneath(tree, "boot"):
        raise NetbootError(f"no initrd was made for kernel {version}", hint="see the output of update-initramfs in it")
    names = run_in(tree, ["lsinitramfs", f"/{initrd}"], timeout_s=120).stdout
    if lacking := [name for name in initramfs.REQUIRED_IN_INITRD if name not in names]:
        raise NetbootError(f"the initrd lacks {', '.join(lacking)}", hint="is the generic kernel package installed?")


def check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(
            f"{folder} has {free >> 20} MiB free, this needs {needed >> 20}", hint="free some, or name a --data-dir"
        )
