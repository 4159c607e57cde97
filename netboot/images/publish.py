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
from netboot.images.caches import renew_caches
from netboot.images.clock import Clock
from netboot.images.identity import filesystem_uuids
from netboot.images.inodes import settle_times
from netboot.images.lint import Allowance
from netboot.images.linting import refuse_secrets
from netboot.images.manifest import Manifest, Origin
from netboot.images.measure import measure_whole
from netboot.images.packages import installed_packages
from netboot.images.prepare import Table
from netboot.images.preparing import load_table, prepare
from netboot.images.sizing import fitting_size, measure_tree
from netboot.images.staging import Staging
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.system.beneath import exists_beneath, names_beneath, read_beneath
from netboot.system.commands import run
from netboot.system.sandbox import run_in
from netboot.system.tree import Tree
from netboot.system.users import user_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What is known of a version before it is made; without a size it gets one that fits, with room for changes.

    `date`, in Unix seconds, is what later times in it are set back to, so that they do not tell when it was made; None
    for a tree whose times are its own.
    """

    origin: Origin
    arch: str
    size_bytes: int | None
    kernel_args: tuple[str, ...] = ()
    build: Mapping[str, str] = field(default_factory=dict)
    table: Table = field(default_factory=load_table)
    allowed: tuple[Allowance, ...] = ()
    date: int | None = None
    note: str = ""


def publish_tree(
    tree: Path, kernel_version: str, edition: Edition, *, store: ImageStore, staging: Staging, clock: Clock
) -> Version:
    """Publish the staged version, made from `tree`; its /boot has the kernel `kernel_version` and its initrd."""
    clock.begin("removing identities")
    packages = installed_packages(tree)
    check_initrd(tree, kernel_version)
    copy_kernel(tree, kernel_version, staging.version)
    date = int(time.time()) if edition.date is None else edition.date
    _set_back_times(tree, date)
    prepare(tree, edition.table, at=date)
    clock.begin("looking for secrets")
    refuse_secrets(tree, edition.allowed)
    clock.begin("writing the file system")
    size_bytes = edition.size_bytes or fitting_size(*measure_tree(tree))
    root = make_filesystem(staging, tree, size_bytes, date=date)
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


def _set_back_times(tree: Path, date: int) -> None:
    with Tree(tree) as whole:
        whole.clamp_times(date)
        renew_caches(tree, date=date)
        whole.clamp_times(date)


# mke2fs falls back to its own defaults when this is no file; those of the machine are somebody's choice.
_NO_SETTINGS = "/nonexistent/mke2fs.conf"
# All that a file system has.  No journal, which a read-only mount would replay.
_FEATURES = (
    *("none", "ext_attr", "resize_inode", "dir_index", "filetype", "extent", "64bit", "flex_bg", "sparse_super"),
    *("large_file", "huge_file", "dir_nlink", "extra_isize", "metadata_csum", "metadata_csum_seed"),
)


def make_filesystem(staging: Staging, tree: Path, size_bytes: int, *, date: int) -> Path:
    """One raw ext4 file, blocks of 4 KiB as its hash tree has.

    For the same tree, image, number and date it has the same bits.
    """
    file = staging.version / "root.ext4"
    seed, own = filesystem_uuids(staging.image, staging.number)
    # Files are taken in the order of their names, as the locale sorts them.
    env = {"MKE2FS_CONFIG": _NO_SETTINGS, "LC_ALL": "C", "E2FSPROGS_FAKE_TIME": str(date)}
    with file.open("wb") as output:
        output.truncate(size_bytes)
    # fmt: off
    run(
        ["mkfs.ext4", "-q", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0", "-L", "netboot-root",
         "-O", ",".join(_FEATURES), "-U", str(seed), "-E", f"hash_seed={seed},lazy_itable_init=0,root_owner=0:0",
         "-d", tree, file],
        timeout_s=900, env=env,
        hint="if there was no space in it, raise its size: size in the recipe, --size of an import",
    )
    # fmt: on
    run(["tune2fs", "-U", str(own), file], env=env)
    settle_times(file, date=date)
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
    generator = initramfs.find_generator(lambda name: exists_beneath(tree, name))
    if generator is None:
        raise NetbootError("the image has no program that makes an initrd", hint="it was removed; install it again")
    names = run_in(tree, generator.list(f"/{initrd}"), timeout_s=120).stdout
    if lacking := generator.lacking(names):
        raise NetbootError(f"the initrd lacks {', '.join(lacking)}", hint="is the generic kernel package installed?")


def check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(
            f"{folder} has {free >> 20} MiB free, this needs {needed >> 20}", hint="free some, or name a --data-dir"
        )
