"""Importing an OCI image, a layout's folder or its archive, as skopeo and others write it.

The blobs are what a digest says that they are, or the import fails: first each blob as it lies there, then each layer
once more as it comes out of its compression.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from netboot.errors import InvalidInput
from netboot.images.importer.options import ImportOptions, Tell
from netboot.images.importer.streams import Hashed, Told, unpacked
from netboot.images.transfer.oci import (
    DOCUMENT_LIMIT,
    INDEX_FILE,
    Descriptor,
    choose,
    parse_config,
    parse_index,
    parse_manifest,
)
from netboot.images.transfer.stacking import apply_layer
from netboot.images.transfer.tar import read_tar
from netboot.images.transfer.writer import Limits, TreeWriter
from netboot.model.image import Digest
from netboot.system.beneath import read_beneath
from netboot.system.machine import native_arch

_CHUNK = 1 << 20
# Documents point to documents: an index to an index of architectures, that to a manifest.
_DEPTH = 3


def fill(source: Path, writer: TreeWriter, options: ImportOptions, scratch: Path, tell: Tell) -> tuple[str, ...]:
    layout = source if source.is_dir() else _unpack(source, scratch / "layout", options.limits)
    image = _find_image(layout, options.tag)
    manifest = parse_manifest(_document(layout, image))
    config = parse_config(_document(layout, manifest.config), layers=len(manifest.layers))
    total = 2 * sum(layer.size_bytes for layer in manifest.layers)
    done = 0
    for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
        with _blob(layout, layer) as blob:
            _check(blob, layer, lambda count: tell(done + count, total))  # noqa: B023 - called before it changes
            done += layer.size_bytes
            _apply(blob, layer, diff_id, writer, tell, done, total)
            done += layer.size_bytes
    return (f"{len(manifest.layers)} layers, image {image.digest}",)


def _unpack(archive: Path, target: Path, limits: Limits) -> Path:
    """The archive's files, as a folder; they are as hostile as any."""
    target.mkdir()
    with archive.open("rb") as file, unpacked(file) as content, TreeWriter(target, limits) as writer:
        writer.add_all(read_tar(content))
    return target


def _find_image(layout: Path, tag: str | None) -> Descriptor:
    with _open(layout, INDEX_FILE) as file:
        text = file.read(DOCUMENT_LIMIT)
    for _ in range(_DEPTH):
        found = choose(parse_index(text), arch=native_arch(), tag=tag)
        if not found.is_index:
            return found
        text, tag = _document(layout, found), None
    raise InvalidInput("the image's index leads to an index, and that to others, without end")


def _document(layout: Path, blob: Descriptor) -> bytes:
    if blob.size_bytes > DOCUMENT_LIMIT:
        raise InvalidInput(f"the document {blob.digest} has {blob.size_bytes} bytes, which no image needs")
    with _blob(layout, blob) as file:
        _check(file, blob, lambda count: None)
        return file.read(DOCUMENT_LIMIT)


def _blob(layout: Path, blob: Descriptor) -> BinaryIO:
    return _open(layout, blob.blob)


def _open(layout: Path, name: str) -> BinaryIO:
    try:
        file = read_beneath(layout, name)
    except OSError as error:
        raise InvalidInput(
            f"the image lacks {name}: {error.strerror}", hint="copy it whole, with skopeo copy or all of its files"
        ) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InvalidInput(f"{name} of the image is not a file")
    return file


def _check(file: BinaryIO, blob: Descriptor, advance: Callable[[int], None]) -> None:
    """Read an open blob once, and stand at its beginning again if it is what its digest says."""
    reader = Hashed(file)
    while reader.size_bytes <= blob.size_bytes and reader.read(_CHUNK):
        advance(reader.size_bytes)
    if (reader.size_bytes, reader.hex) != (blob.size_bytes, blob.digest.hex):
        raise InvalidInput(
            f"the blob {blob.digest} does not have the content that its name says: the image is damaged",
            hint="copy it again from where it came from",
        )
    file.seek(0)


def _apply(
    blob: BinaryIO, layer: Descriptor, diff_id: Digest, writer: TreeWriter, tell: Tell, before: int, total: int
) -> None:
    with unpacked(blob) as content:
        hashed = Hashed(content)
        apply_layer(read_tar(Told(hashed, blob, tell, before=before, total=total), end_required=False), writer)
    if hashed.hex != diff_id.hex:
        raise InvalidInput(f"the layer {layer.digest} unpacks to something else than the image's config says")
