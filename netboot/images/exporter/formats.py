"""The forms in which a version is given away: each writes it to a path, telling how far it is."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from netboot.images.exporter.content import Tell, files_of
from netboot.images.transfer import oci
from netboot.images.transfer.entry import Entry
from netboot.images.transfer.tar import Writer, write_tar
from netboot.images.transfer.walk import walk_path
from netboot.model.image import Digest, Version
from netboot.system.commands import piped_to, stream

# A layer is compressed so: without time and name, and at twice the speed of the usual level for some percent more.
_GZIP = ("gzip", "-n", "-4")


class ExportFormat(StrEnum):
    TAR = "tar"
    QCOW2 = "qcow2"
    OCI = "oci"
    OCI_ARCHIVE = "oci-archive"


class Packing(StrEnum):
    """How a tar is compressed."""

    NONE = "none"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"


_PACKERS: Mapping[Packing, tuple[str, ...]] = {
    Packing.GZIP: _GZIP,
    Packing.XZ: ("xz", "-6", "-T0", "--memlimit-compress=1GiB"),
    Packing.ZSTD: ("zstd", "-q", "-6", "-T0"),
}


def write_as_tar(version: Version, root: Path, target: Path, tell: Tell, packing: Packing) -> None:
    """Owners by number, sorted, holes as GNU tar writes them, labels as SCHILY.xattr."""
    with _packed(target, packing) as output, files_of(root, tell) as items:
        write_tar(items, output, holes=True)


def write_as_qcow2(version: Version, root: Path, target: Path, tell: Tell, packing: Packing) -> None:
    """The root's file system, compressed; kernel and initrd beside it, since nothing in it could start them."""
    total = version.root.size_bytes
    argv = ["qemu-img", "convert", "-p", "-c", "-f", "raw", "-O", "qcow2", str(root), str(target)]
    for line in stream(argv):
        if found := re.search(r"\(([0-9.]+)/100%\)", line):
            tell(int(total * float(found[1]) / 100), total)
    for artefact, name in ((version.kernel, "vmlinuz"), (version.initrd, "initrd.img")):
        shutil.copyfile(artefact.path, target.with_name(f"{target.name}.{name}"))


def write_as_oci(version: Version, root: Path, target: Path, tell: Tell, packing: Packing) -> None:
    """A layout of one image with one layer, the whole system."""
    blobs = target / "blobs/sha256"
    blobs.mkdir(parents=True)
    with _packed(blobs / "layer", Packing.GZIP) as output, files_of(root, tell) as items:
        # Not every reader of layers knows sparse files.
        whole = _Hashing(output)
        write_tar(items, whole, holes=False)
    layer = _adopt(blobs, blobs / "layer", oci.LAYER_TYPE)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(version.created_at))
    labels = {
        "org.opencontainers.image.title": version.image,
        "org.opencontainers.image.version": str(version.number),
        "org.opencontainers.image.created": created,
        "netboot.version": str(version.digest),
    }
    config = oci.ImageConfig(arch=version.arch, diff_ids=(Digest(whole.hex),), labels=labels)
    described = _add(blobs, oci.config_of(config, created=created), oci.CONFIG_TYPE)
    text = oci.manifest_of(oci.ImageManifest(config=described, layers=(layer,)))
    manifest = _add(blobs, text, oci.MANIFEST_TYPE, arch=version.arch, tag=str(version.number))
    (target / oci.INDEX_FILE).write_bytes(oci.index_of(manifest))
    (target / oci.LAYOUT_FILE).write_bytes(oci.layout_file())


def write_as_oci_archive(version: Version, root: Path, target: Path, tell: Tell, packing: Packing) -> None:
    """Such a layout as a tar, in which skopeo and podman take it from one file."""
    layout = target.with_name(f"{target.name}.layout")
    write_as_oci(version, root, layout, tell, packing)
    with target.open("wb") as output, walk_path(layout) as items:
        # Nobody's and of no time: the archive depends on the version alone.
        plain = (
            (dataclasses.replace(entry, uid=0, gid=0, mtime_ns=0, xattrs={}), chunks)
            for entry, chunks in items
            if entry.path
        )
        write_tar(plain, output, holes=False)
    shutil.rmtree(layout)


# Each is given the version, its root as a raw file, where to write, whom to tell, and how a tar is compressed.
WRITERS: Mapping[ExportFormat, Callable[[Version, Path, Path, Tell, Packing], None]] = {
    ExportFormat.TAR: write_as_tar,
    ExportFormat.QCOW2: write_as_qcow2,
    ExportFormat.OCI: write_as_oci,
    ExportFormat.OCI_ARCHIVE: write_as_oci_archive,
}


@contextmanager
def _packed(target: Path, packing: Packing) -> Iterator[Writer]:
    with target.open("wb") as file:
        if packing is Packing.NONE:
            yield file
            return
        with piped_to(_PACKERS[packing], file.fileno()) as given:
            yield given


def _plain(entry: Entry) -> Entry:
    """Nobody's and of no time: the archive depends on the version alone."""
    return dataclasses.replace(entry, uid=0, gid=0, mtime_ns=0, xattrs={})


def _adopt(blobs: Path, file: Path, media_type: str) -> oci.Descriptor:
    """A file becomes the blob that its digest names."""
    with file.open("rb") as content:
        digest = Digest(hashlib.file_digest(content, "sha256").hexdigest())
    size = file.stat().st_size
    file.rename(blobs / digest.hex)
    return oci.Descriptor(media_type=media_type, digest=digest, size_bytes=size)


def _add(blobs: Path, content: bytes, media_type: str, *, arch: str = "", tag: str = "") -> oci.Descriptor:
    digest = Digest(hashlib.sha256(content).hexdigest())
    (blobs / digest.hex).write_bytes(content)
    return oci.Descriptor(
        media_type=media_type, digest=digest, size_bytes=len(content), arch=arch, os="linux" if arch else "", tag=tag
    )


class _Hashing:
    """A writer that remembers the SHA-256 of what went through it."""

    def __init__(self, target: Writer) -> None:
        self._target = target
        self._sum = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        self._sum.update(data)
        self._target.write(data)

    @property
    def hex(self) -> str:
        return self._sum.hexdigest()
