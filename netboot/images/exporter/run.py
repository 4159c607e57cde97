"""An export from its beginning to its end."""

from __future__ import annotations

import os
from pathlib import Path

from netboot.errors import InvalidInput, NotPermitted
from netboot.images.clock import remembered
from netboot.images.exporter.destination import destination
from netboot.images.exporter.formats import WRITERS, ExportFormat, Packing
from netboot.images.pace import EXPORT_STEPS, Progress
from netboot.images.store import ImageStore
from netboot.model.image import Version


def export_image(
    version: Version,
    place: Path,
    format: ExportFormat,
    packing: Packing,
    *,
    store: ImageStore,
    cache: Path,
    progress: Progress,
) -> None:
    """Write a version to `place`, which must not be there; leaves nothing behind when it fails or is interrupted."""
    if packing is not Packing.NONE and format is not ExportFormat.TAR:
        raise InvalidInput(f"{format} has a compression of its own", hint="--compress is for tar")
    if os.geteuid() != 0:
        raise NotPermitted("reading an image's files needs root", hint="use sudo")
    with (
        destination(place.absolute()) as work,
        remembered(cache / f"export-{format}.json", progress, EXPORT_STEPS) as clock,
    ):
        clock.begin(next(iter(EXPORT_STEPS)))
        WRITERS[format](version, store.materialise(version), work, clock.reach, packing)
