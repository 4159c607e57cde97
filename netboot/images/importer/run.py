"""An import from its beginning to its end: source, tree, system, version."""

from __future__ import annotations

import os
from pathlib import Path

from netboot.errors import NotPermitted
from netboot.images.clock import remembered
from netboot.images.importer.options import Imported, ImportOptions
from netboot.images.importer.source import FILLS, identify
from netboot.images.importer.system import check_system, install_packages, make_bootable
from netboot.images.linting import load_rules
from netboot.images.manifest import Origin, OriginKind
from netboot.images.pace import IMPORT_STEPS, Progress
from netboot.images.preparing import load_table
from netboot.images.publish import Edition, publish_tree
from netboot.images.store import ImageStore
from netboot.images.transfer.entry import show
from netboot.images.transfer.writer import TreeWriter


def import_image(
    image: str, source: Path, options: ImportOptions, *, store: ImageStore, cache: Path, progress: Progress
) -> Imported:
    """Publish the next version of `image`, made from `source`.

    `cache` remembers durations.  Leaves nothing behind when it fails, is interrupted or killed.
    """
    if os.geteuid() != 0:
        raise NotPermitted("importing an image needs root, since its files belong to many users", hint="use sudo")
    load_rules().check(options.allowed)
    format = identify(source, options.format)
    with store.stage(image) as staging, remembered(cache / f"import-{format}.json", progress, IMPORT_STEPS) as clock:
        clock.begin(next(iter(IMPORT_STEPS)))
        tree = staging.scratch / "tree"
        tree.mkdir()
        tree.chmod(0o755)  # whatever our umask: a source may say nothing of its root
        with TreeWriter(tree, options.limits) as writer:
            notices = FILLS[format](source, writer, options, staging.scratch, clock.reach)
        arch = check_system(tree, source)
        install_packages(tree, options, clock)
        kernel_version = make_bootable(tree, options, arch, clock)
        edition = Edition(
            origin=Origin(kind=OriginKind.IMPORT, name=source.name),
            arch=arch,
            size_bytes=options.size_bytes,
            build={"format": str(format), **({"packages": " ".join(options.packages)} if options.packages else {})},
            table=load_table(options.site_table),
            allowed=options.allowed,
            note=options.note,
        )
        version = publish_tree(tree, kernel_version, edition, store=store, staging=staging, clock=clock)
    devices = tuple(show(path) for path in writer.devices)
    return Imported(version=version, format=format, notices=notices, devices=devices)
