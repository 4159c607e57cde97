"""Importing a tar archive of a whole system, compressed or not."""

from __future__ import annotations

from pathlib import Path

from netboot.images.importer.options import ImportOptions, Tell
from netboot.images.importer.streams import Told, unpacked
from netboot.images.transfer.tar import read_tar
from netboot.images.transfer.writer import TreeWriter


def fill(source: Path, writer: TreeWriter, options: ImportOptions, scratch: Path, tell: Tell) -> tuple[str, ...]:
    with source.open("rb") as file, unpacked(file) as content:
        writer.add_all(read_tar(Told(content, file, tell)))
    return ()
