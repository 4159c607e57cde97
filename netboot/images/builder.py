"""Building a version from a recipe: packages to a tree, the tree to a file system, all of it published at once.

mmdebstrap runs in mount and process namespaces of its own, so whatever way a build ends, the kernel removes its mounts
and processes; the staging folder removes its files.  The initrd is made inside the image, by the image's own tools.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from netboot import initramfs
from netboot.errors import NetbootError, NotPermitted, Unavailable
from netboot.images.manifest import Manifest
from netboot.images.mirror import choose_sources, host_codename, host_sources
from netboot.images.pace import STEPS, Pace, Progress
from netboot.images.prepare import prepare
from netboot.images.recipe import Recipe
from netboot.images.store import ImageStore, Staging, hash_files
from netboot.model.image import Version
from netboot.system.commands import run, stream

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# UUIDs of file systems are derived from names in this space, so that they are the same wherever an image is built.
NAMESPACE = uuid.UUID("6f0b7a52-3f0e-5d0c-9a3e-6b0d1c2f4e58")

# Words on mmdebstrap's output that begin one of our steps.
MARKS: Mapping[str, str] = {
    "I: running apt-get update": "reading package lists",
    "I: downloading packages": "downloading the base",
    "I: extracting archives": "unpacking the base",
    "I: installing essential": "setting up the base",
    "I: installing remaining": "installing packages",
    "update-initramfs: Generating": "making the initrd",
    "I: running --customize-hook": "adjusting units",
}

# Documentation and translations stay out; licences stay in.
DPKG_OPTIONS = (
    "force-unsafe-io",  # a half-built tree is thrown away, so dpkg need not sync every file
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/lintian/*",
)
APT_OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"')
# Options of the building machine's apt without which it may not reach its mirror.
_APT_CARRIED = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::https::CAInfo")


class Clock:
    """Tells a `Progress` where the build is, and remembers how long each step took."""

    def __init__(self, progress: Progress, pace: Pace) -> None:
        self._progress = progress
        self._pace = pace
        self._started = self._step_started = time.monotonic()
        self._step = ""
        self.durations: dict[str, float] = {}

    def begin(self, step: str) -> None:
        now = time.monotonic()
        if self._step:
            self.durations[self._step] = self.durations.get(self._step, 0.0) + now - self._step_started
        self._step, self._step_started = step, now
        self.tick()

    def tick(self) -> None:
        now = time.monotonic()
        elapsed = now - self._step_started
        left = self._pace.left_s(self._step, elapsed, total_elapsed_s=now - self._started)
        self._progress.step(self._step, fraction=self._pace.fraction(self._step, elapsed), left_s=left)


def build_image(
    recipe: Recipe, *, store: ImageStore, cache: Path, progress: Progress, mirror: str | None = None, note: str = ""
) -> Version:
    """Build and publish the next version of `recipe.name`.

    Packages come from `mirror`, or from where this machine's apt gets its own.  `cache` remembers durations.  Leaves
    nothing behind when it fails or is interrupted.
    """
    _check_rights()
    sources = (
        [f"deb {mirror} {recipe.suite} {' '.join(recipe.components)}"]
        if mirror
        else choose_sources(host_sources(), suite=recipe.suite, codename=host_codename(), components=recipe.components)
    )
    with store.stage(recipe.name) as staging, _remembered(cache / f"build-{recipe.name}.json", progress) as clock:
        _check_space(staging.scratch, 2 * recipe.size_bytes)
        tree = _make_tree(recipe, staging.scratch, sources, clock)
        clock.begin("removing identities")
        prepare(tree)
        clock.begin("writing the file system")
        make_filesystem(recipe, staging, tree)
        kernel_version = _copy_kernel(tree, staging.version)
        clock.begin("checking the result")
        _check_result(staging, tree)
        packages = _packages(tree)
        clock.begin("computing digests")
        files = hash_files(staging.version, lambda size_bytes: clock.tick())
        clock.begin("publishing")
        manifest = Manifest(
            image=recipe.name,
            number=staging.number,
            recipe=recipe.name,
            created_at=round(time.time(), 3),
            arch=recipe.arch,
            filesystem="ext4",
            kernel_version=kernel_version,
            kernel_args=recipe.kernel_args,
            files=files,
            packages=packages,
            build={"suite": recipe.suite, "components": " ".join(recipe.components), "tool": "mmdebstrap"},
            note=note,
        )
        return store.publish(staging, manifest)


def filesystem_uuids(image: str, number: int) -> tuple[uuid.UUID, uuid.UUID]:
    """The seed that all versions of an image share, and this version's own UUID.

    The seed goes into directory hashes and checksums: were it different, every block of metadata would be, and a
    change between versions would look like a new image.  The UUID names the file system to NFS servers, which
    must tell versions apart.
    """
    return uuid.uuid5(NAMESPACE, image), uuid.uuid5(NAMESPACE, f"{image}:{number}")


def mmdebstrap_argv(recipe: Recipe, *, overlay: Path, tree: Path, sources: Sequence[str]) -> list[str]:
    """The whole command; the first words see to it that it dies with us, and its mounts with it."""
    units = [("enable", recipe.enable + initramfs.UNITS), ("disable", recipe.disable), ("mask", recipe.mask)]
    # In a hook, "$1" is the tree.
    hooks = [f'chroot "$1" systemctl --quiet {verb} {shlex.join(names)}' for verb, names in units if names]
    hooks += [f'{shlex.quote(str(script))} "$1"' for script in recipe.scripts]
    packages = sorted({*recipe.packages, *initramfs.PACKAGES})
    # fmt: off
    return [
        "setpriv", "--pdeathsig=KILL",
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "mmdebstrap", "--verbose", "--mode=root", "--variant=minbase", "--format=directory",
        f"--architectures={recipe.arch}",
        f"--keyring={KEYRING}",
        f"--include={','.join(packages)}",
        *(f"--aptopt={option}" for option in (*APT_OPTIONS, *_host_apt_options())),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        f"--essential-hook=sync-in {shlex.quote(str(overlay))} /",
        *(f"--customize-hook={hook}" for hook in hooks),
        recipe.suite, str(tree), *sources,
    ]
    # fmt: on


def _make_tree(recipe: Recipe, scratch: Path, sources: Sequence[str], clock: Clock) -> Path:
    overlay, tree = scratch / "overlay", scratch / "tree"
    if recipe.files:
        shutil.copytree(recipe.files, overlay, symlinks=True)
    initramfs.install(overlay)
    for folder, _, _ in os.walk(overlay):
        Path(folder).chmod(0o755)  # whatever our umask: these become the image's own folders
    clock.begin(next(iter(STEPS)))
    argv = mmdebstrap_argv(recipe, overlay=overlay, tree=tree, sources=sources)
    for line in stream(argv, hint=f"is the package archive reachable, and right for {recipe.suite}?"):
        step = next((step for mark, step in MARKS.items() if line.startswith(mark)), None)
        clock.begin(step) if step else clock.tick()
    return tree


def make_filesystem(recipe: Recipe, staging: Staging, tree: Path) -> Path:
    """One raw ext4 file: blocks of 4 KiB (for verity later), and no journal, which a read-only mount would replay."""
    file = staging.version / "root.ext4"
    seed, own = filesystem_uuids(recipe.name, staging.number)
    with file.open("wb") as output:
        output.truncate(recipe.size_bytes)
    # fmt: off
    run(
        ["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-L", "netboot-root",
         "-O", "^has_journal,^orphan_file,metadata_csum_seed", "-U", str(seed), "-E", f"hash_seed={seed}",
         "-d", tree, file],
        timeout_s=900, hint="if there was no space, raise size in the recipe",
    )
    # fmt: on
    run(["tune2fs", "-U", str(own), file])
    return file


def _copy_kernel(tree: Path, target: Path) -> str:
    """Copy kernel and initrd next to the root; returns the kernel's version."""
    kernels = sorted((tree / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise NetbootError(
            f"the image has {len(kernels)} kernels, not one", hint="name one kernel package in the recipe"
        )
    version = kernels[0].name.removeprefix("vmlinuz-")
    initrd = tree / "boot" / f"initrd.img-{version}"
    if not initrd.is_file():
        raise NetbootError(f"no initrd was made for kernel {version}", hint="see the build's output")
    shutil.copyfile(kernels[0], target / "vmlinuz")
    shutil.copyfile(initrd, target / "initrd.img")
    return version


def _check_result(staging: Staging, tree: Path) -> None:
    """Look at what was made before anybody boots it: a clean file system, an initrd that can find its root."""
    run(["e2fsck", "-f", "-n", staging.version / "root.ext4"], timeout_s=600)
    shutil.copyfile(staging.version / "initrd.img", tree / "tmp/initrd.img")
    names = run(["chroot", tree, "lsinitramfs", "/tmp/initrd.img"], timeout_s=120).stdout  # noqa: S108
    if lacking := [name for name in initramfs.REQUIRED_IN_INITRD if name not in names]:
        raise NetbootError(f"the initrd lacks {', '.join(lacking)}", hint="is a kernel package in the recipe?")


def _packages(tree: Path) -> dict[str, str]:
    listed = run(["chroot", tree, "dpkg-query", "-W", "-f", "${Package} ${Version}\\n"]).stdout
    return dict(line.split(" ", 1) for line in listed.splitlines())


def _host_apt_options() -> list[str]:
    if not shutil.which("apt-config"):
        return []
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [line.rstrip(";") for line in lines if line.startswith(_APT_CARRIED) and not line.endswith(' "";')]


def _check_rights() -> None:
    if os.geteuid() != 0:
        raise NotPermitted("building an image needs root, since its files belong to many users", hint="use sudo")
    if not KEYRING.exists():
        raise Unavailable("Debian's keys are not here", hint="apt-get install debian-archive-keyring")


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(
            f"{folder} has {free >> 20} MiB free, a build needs {needed >> 20}", hint="free some, or name a --data-dir"
        )


@contextmanager
def _remembered(file: Path, progress: Progress) -> Iterator[Clock]:
    """A clock that knows the last build's durations; those of a whole build replace them."""
    durations: Mapping[str, float] = {}
    with suppress(OSError, ValueError):
        durations = dict(json.loads(file.read_text(encoding="utf-8")))
    clock = Clock(progress, Pace.learned(durations))
    yield clock
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(clock.durations), encoding="utf-8")
