"""Building a version from a recipe: packages to a tree, the tree to a file system, all of it published at once.

mmdebstrap runs in mount and process namespaces of its own, so whatever way a build ends, the kernel removes its mounts
and processes; the staging folder removes its files.  The initrd is made inside the image, by the image's own tools.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netboot import initramfs
from netboot.errors import InvalidInput, NetbootError, NotPermitted, Unavailable
from netboot.images.clock import Clock, remembered
from netboot.images.linting import load_rules
from netboot.images.lock import Lock
from netboot.images.manifest import Origin, OriginKind
from netboot.images.mirror import (
    choose_sources,
    host_codename,
    host_sources,
    release_time,
    release_urls,
    snapshot_sources,
)
from netboot.images.pace import STEPS, Progress
from netboot.images.packages import installed_packages
from netboot.images.preparing import load_table
from netboot.images.publish import Edition, check_space, kernels, publish_tree
from netboot.images.recipe import Recipe
from netboot.images.recipefile import stamp_seconds
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.system.apt import PROXIES, fetch, host_options
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What a build takes besides its recipe.

    `mirror` is where packages come from, by default where this machine's apt gets its own; `snapshots` the URL pattern
    of an archive of snapshots, for recipes that name one; `lock` the packages of an earlier build; `site_table` the
    site's own table of what is prepared.
    """

    mirror: str | None = None
    snapshots: str | None = None
    lock: Lock | None = None
    site_table: Path | None = None
    note: str = ""


DEFAULTS = BuildOptions()


def build_image(
    recipe: Recipe, *, store: ImageStore, cache: Path, progress: Progress, options: BuildOptions = DEFAULTS
) -> Version:
    """Build and publish the next version of `recipe.name`.

    `cache` remembers durations.  Leaves nothing behind when it fails or is interrupted.
    """
    _check_rights()
    load_rules().check(recipe.allow)
    table = load_table(options.site_table, recipe.prepare)
    sources = package_sources(recipe, options)
    with store.stage(recipe.name) as staging, remembered(cache / f"build-{recipe.name}.json", progress, STEPS) as clock:
        check_space(staging.scratch, 2 * recipe.size_bytes)
        clock.begin(next(iter(STEPS)))
        date = _date(recipe, options, sources)
        tree = _make_tree(recipe, staging.scratch, sources, clock, date=date, lock=options.lock)
        if options.lock:
            options.lock.check(installed_packages(tree))
        edition = Edition(
            origin=Origin(kind=OriginKind.RECIPE, name=recipe.name),
            arch=recipe.arch,
            size_bytes=recipe.size_bytes,
            kernel_args=recipe.kernel_args,
            build=_account(recipe, date),
            table=table,
            allowed=recipe.allow,
            date=date,
            note=options.note,
        )
        return publish_tree(tree, _only_kernel(tree), edition, store=store, staging=staging, clock=clock)


def package_sources(recipe: Recipe, options: BuildOptions) -> list[str]:
    """The lines of apt's sources for a build."""
    if options.mirror:
        # What is archived was valid at its time.
        mark = "[check-valid-until=no] " if recipe.snapshot else ""
        return [f"deb {mark}{options.mirror} {recipe.suite} {' '.join(recipe.components)}"]
    if not recipe.snapshot:
        return choose_sources(
            host_sources(), suite=recipe.suite, codename=host_codename(), components=recipe.components
        )
    if not options.snapshots:
        raise InvalidInput(
            f"recipe {recipe.name} wants the packages of {recipe.snapshot}, and no archive of snapshots is known",
            hint="name a configuration with the setting images.snapshot by --config, or a --mirror that has them",
        )
    return snapshot_sources(options.snapshots, recipe.snapshot, suite=recipe.suite, components=recipe.components)


def _date(recipe: Recipe, options: BuildOptions, sources: Sequence[str]) -> int:
    """The time that stands for the build, whenever it happens: as said, or when the newest of its sources changed."""
    if recipe.date:
        return stamp_seconds(recipe.date)
    if options.lock and options.lock.date is not None:
        return options.lock.date
    return max(release_time(fetch(url)) for url in release_urls(sources))


def _account(recipe: Recipe, date: int) -> dict[str, str]:
    """What the manifest tells of the build."""
    told = {"suite": recipe.suite, "components": " ".join(recipe.components), "tool": "mmdebstrap", "date": str(date)}
    return told | ({"snapshot": recipe.snapshot} if recipe.snapshot else {})


def mmdebstrap_argv(
    recipe: Recipe, *, overlay: Path, tree: Path, sources: Sequence[str], preferences: Path | None = None
) -> list[str]:
    """The whole command; the first words see to it that it dies with us, and its mounts with it."""
    units = [("enable", recipe.enable + initramfs.UNITS), ("disable", recipe.disable), ("mask", recipe.mask)]
    # In a hook, "$1" is the tree.
    hooks = [f'chroot "$1" systemctl --quiet {verb} {shlex.join(names)}' for verb, names in units if names]
    hooks += [f'{shlex.quote(str(script))} "$1"' for script in recipe.scripts]
    packages = sorted({*recipe.packages, *initramfs.GENERATORS[recipe.initramfs].packages})
    pins = [f"upload {shlex.quote(str(preferences))} /etc/apt/preferences.d/00-netboot-lock"] if preferences else []
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
        *(f"--setup-hook={hook}" for hook in pins),
        f"--essential-hook=sync-in {shlex.quote(str(overlay))} /",
        *(f"--customize-hook={hook}" for hook in hooks),
        recipe.suite, str(tree), *sources,
    ]
    # fmt: on


def _make_tree(
    recipe: Recipe, scratch: Path, sources: Sequence[str], clock: Clock, *, date: int, lock: Lock | None
) -> Path:
    overlay, tree, preferences = scratch / "overlay", scratch / "tree", scratch / "preferences"
    overlay.mkdir()
    for folder in recipe.files:
        shutil.copytree(folder, overlay, symlinks=True, dirs_exist_ok=True)
    initramfs.install(overlay, initramfs.files(initramfs.GENERATORS[recipe.initramfs]))
    for walked, _, _ in os.walk(overlay):
        Path(walked).chmod(0o755)  # whatever our umask: these become the image's own folders
    if lock:
        preferences.write_text(lock.preferences(), encoding="utf-8")
    argv = mmdebstrap_argv(
        recipe, overlay=overlay, tree=tree, sources=sources, preferences=preferences if lock else None
    )
    # The initrd's maker, shadow and others take it in place of the clock.
    env = {"SOURCE_DATE_EPOCH": str(date)}
    for line in stream(argv, env=env, hint=f"is the package archive reachable, and right for {recipe.suite}?"):
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
