"""The source of an import: which format it has, and its files, written to a tree."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from netboot.errors import InvalidInput, NotFound, NotPermitted
from netboot.images.importer import from_disk, from_folder, from_oci, from_tar
from netboot.images.importer.detect import HEAD_BYTES, Compression, Format, compression_of, detect, is_tar
from netboot.images.importer.options import ImportOptions, Tell
from netboot.images.importer.streams import unpacked
from netboot.images.transfer.oci import INDEX_FILE, LAYOUT_FILE
from netboot.images.transfer.tar import read_tar
from netboot.images.transfer.writer import TreeWriter

# What docker save has at the top of its archives.
_OF_DOCKER = re.compile(rb"manifest\.json|repositories|[0-9a-f]{64}(\.json|\.tar)?")

# Writes the files of a source; what is given are notices for people.
Fill = Callable[[Path, TreeWriter, ImportOptions, Path, Tell], tuple[str, ...]]

FILLS: Mapping[Format, Fill] = {
    Format.DIRECTORY: from_folder.fill,
    Format.TAR: from_tar.fill,
    Format.RAW: from_disk.fill,
    Format.QCOW2: from_disk.fill_qcow2,
    Format.OCI: from_oci.fill,
}


def identify(source: Path, wanted: Format | None = None) -> Format:
    """The format of a source, by its bytes unless it is `wanted`; `InvalidInput` says what it is if it is none."""
    state = _stat(source)
    if stat.S_ISDIR(state.st_mode):
        found = Format.OCI if (source / LAYOUT_FILE).is_file() and (source / INDEX_FILE).is_file() else Format.DIRECTORY
        if wanted not in (None, found, Format.DIRECTORY):
            raise InvalidInput(f"{source} is a folder, not {wanted}")
        return wanted or found
    if wanted is Format.DIRECTORY or not (stat.S_ISREG(state.st_mode) or stat.S_ISBLK(state.st_mode)):
        raise InvalidInput(f"{source} is not a folder" if wanted else f"{source} is neither a file nor a folder")
    try:
        return wanted or _by_bytes(source)
    except InvalidInput as error:
        raise InvalidInput(f"{source} cannot be imported: {error.message}", hint=error.hint) from error


def _stat(source: Path) -> os.stat_result:
    try:
        return source.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no {source}") from error
    except PermissionError as error:
        raise NotPermitted(f"{source} may not be read", hint="run it as root") from error


def _by_bytes(source: Path) -> Format:
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if (compression := compression_of(head)) is not None:
            return _in_archive(source) if is_tar(_head_inside(source)) else _refuse_compressed(compression)
        parts = from_disk.parts_of(file.fileno())
    is_disk = bool(parts[0].partition.number) or parts[0].found.label != "unknown"
    found = detect(head, is_disk=is_disk)
    return _in_archive(source) if found is Format.TAR else found


def _head_inside(source: Path) -> bytes:
    head = b""
    with source.open("rb") as file, unpacked(file, whole=False) as content:
        while len(head) < HEAD_BYTES and (more := content.read(HEAD_BYTES - len(head))):
            head += more
    if len(head) < HEAD_BYTES:
        # Too little for anything: perhaps the program says why, if it is let come to its end.
        with source.open("rb") as file, unpacked(file):
            pass
    return head


def _refuse_compressed(compression: Compression) -> Format:
    raise InvalidInput(
        f"it is compressed with {compression}, and no tar", hint=f"unpack it first, with {compression} -d"
    )


def _in_archive(source: Path) -> Format:
    """Whether a tar is a system or an OCI image: that has nothing at its top but blobs and two documents."""
    with source.open("rb") as file, unpacked(file, whole=False) as content:
        for entry, _ in read_tar(content):
            top = entry.path.partition(b"/")[0]
            if top in (LAYOUT_FILE.encode(), INDEX_FILE.encode()):
                return Format.OCI
            if _OF_DOCKER.fullmatch(top):
                raise InvalidInput(
                    "it is an archive of docker save",
                    hint=f"convert it: skopeo copy docker-archive:{source} oci-archive:IMAGE.tar",
                )
            if top not in (b"", b"blobs"):
                break
    return Format.TAR
