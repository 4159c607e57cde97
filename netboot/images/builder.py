"""Building a version from a recipe: packages to a tree, the tree to a file system, all of it published at once.

mmdebstrap runs in mount and process namespaces of its own, so whatever way a build ends, the kernel removes its mounts
and processes; the staging folder removes its files.  The initrd is made inside the image, by the image's own tools.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from netboot import initramfs
from netboot.errors import NetbootError, NotPermitted, Unavailable
from netboot.images.clock import Clock, remembered
from netboot.images.linting import load_rules
from netboot.images.manifest import Origin, OriginKind
from netboot.images.mirror import choose_sources, host_codename, host_sources
from netboot.images.pace import STEPS, Progress
from netboot.images.preparing import load_table
from netboot.images.publish import Edition, check_space, kernels, publish_tree
from netboot.images.recipe import Recipe
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.system.apt import PROXIES, host_options
from netboot.system.commands import stream

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

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
_APT_CARRIED = (*PROXIES, "Acquire::https::CAInfo")


def build_image(
    recipe: Recipe,
    *,
    store: ImageStore,
    cache: Path,
    progress: Progress,
    mirror: str | None = None,
    note: str = "",
    site_table: Path | None = None,
) -> Version:
    """Build and publish the next version of `recipe.name`.

    Packages come from `mirror`, or from where this machine's apt gets its own.  `cache` remembers durations.
    `site_table` is the site's own table of what is prepared.  Leaves nothing behind when it fails or is interrupted.
    """
    _check_rights()
    sources = (
        [f"deb {mirror} {recipe.suite} {' '.join(recipe.components)}"]
        if mirror
        else choose_sources(host_sources(), suite=recipe.suite, codename=host_codename(), components=recipe.components)
    )
    edition = Edition(
        origin=Origin(kind=OriginKind.RECIPE, name=recipe.name),
        arch=recipe.arch,
        size_bytes=recipe.size_bytes,
        kernel_args=recipe.kernel_args,
        build={"suite": recipe.suite, "components": " ".join(recipe.components), "tool": "mmdebstrap"},
        table=load_table(site_table, recipe.prepare),
        allowed=recipe.allow,
        note=note,
    )
    load_rules().check(edition.allowed)
    with store.stage(recipe.name) as staging, remembered(cache / f"build-{recipe.name}.json", progress, STEPS) as clock:
        check_space(staging.scratch, 2 * recipe.size_bytes)
        tree = _make_tree(recipe, staging.scratch, sources, clock)
        return publish_tree(tree, _only_kernel(tree), edition, store=store, staging=staging, clock=clock)


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
        *(f"--aptopt={option.rstrip(';')}" for option in (*APT_OPTIONS, *host_options(*_APT_CARRIED))),
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


def _only_kernel(tree: Path) -> str:
    found = kernels(tree)
    if len(found) != 1:
        raise NetbootError(f"the image has {len(found)} kernels, not one", hint="name one kernel package in the recipe")
    return found[0]


def _check_rights() -> None:
    if os.geteuid() != 0:
        raise NotPermitted("building an image needs root, since its files belong to many users", hint="use sudo")
    if not KEYRING.exists():
        raise Unavailable("Debian's keys are not here", hint="apt-get install debian-archive-keyring")
