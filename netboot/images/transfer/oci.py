"""The documents of an OCI image layout (image-spec 1.1): index, manifest and config, read strictly and written once.

What they name is a blob, and a blob's name is its digest; so one digest stands for all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netboot.errors import InvalidInput
from netboot.model.image import Digest

LAYOUT_FILE, INDEX_FILE = "oci-layout", "index.json"
DOCUMENT_LIMIT = 4 << 20
_LAYERS_LIMIT = 1000

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
NAME = "org.opencontainers.image.ref.name"

_INDEXES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
# With +gzip, +zstd, .gzip or nothing behind; what a layer is compressed with, its first bytes tell.
_LAYERS = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A blob that a document names; `arch` and `tag` are of manifests in an index."""

    media_type: str
    digest: Digest
    size_bytes: int
    arch: str = ""
    os: str = ""
    tag: str = ""

    @property
    def blob(self) -> str:
        """Its file in the layout."""
        return f"blobs/sha256/{self.digest.hex}"

    @property
    def is_index(self) -> bool:
        return self.media_type in _INDEXES


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """`diff_ids` are the digests of the layers, unpacked."""

    arch: str
    diff_ids: tuple[Digest, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


def parse_index(text: bytes) -> tuple[Descriptor, ...]:
    """The manifests and indexes that an index names."""
    index = _document(text, "the index")
    found = _list(index, "manifests", "the index")
    return tuple(each for entry in found if (each := _descriptor(entry)).media_type in _INDEXES + _MANIFESTS)


def choose(found: Sequence[Descriptor], *, arch: str, tag: str | None) -> Descriptor:
    """The one manifest (or index of one image) to take; `InvalidInput` says what there is if that cannot be told."""
    if tag is not None:
        tagged = [each for each in found if each.tag == tag]
        if not tagged:
            raise _refusal(f"the archive has no image tagged {tag}", found)
        found = tagged
    for each in (found, [entry for entry in found if entry.arch in (arch, "") and entry.os in ("linux", "")]):
        if len(each) == 1:
            return each[0]
    if not found:
        raise InvalidInput("the archive holds no image")
    several = len({each.tag for each in found}) > 1
    what = "several images" if several else f"no image for {arch} alone"
    raise _refusal(f"the archive holds {what}", found)


def parse_manifest(text: bytes) -> ImageManifest:
    manifest = _document(text, "the manifest")
    layers = tuple(_descriptor(entry) for entry in _list(manifest, "layers", "the manifest"))
    for layer in layers:
        if not layer.media_type.startswith(_LAYERS) or "encrypted" in layer.media_type:
            raise InvalidInput(f"a layer is of the kind {layer.media_type!r}, which is not read")
    if len(layers) > _LAYERS_LIMIT:
        raise InvalidInput(f"the image has {len(layers)} layers, at most {_LAYERS_LIMIT} are read")
    return ImageManifest(config=_descriptor(manifest.get("config")), layers=layers)


def parse_config(text: bytes, *, layers: int) -> ImageConfig:
    """The config of an image of so many layers."""
    config = _document(text, "the image's config")
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != layers:
        raise InvalidInput(f"the image's config does not name the digests of its {layers} layers")
    return ImageConfig(arch=str(config.get("architecture", "")), diff_ids=tuple(_digest(each) for each in diff_ids))


def index_of(manifest: Descriptor) -> bytes:
    """The index of a layout with one image."""
    entry = {
        **_shape(manifest),
        "annotations": {NAME: manifest.tag},
        "platform": {"architecture": manifest.arch, "os": manifest.os},
    }
    return _bytes({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]})


def manifest_of(image: ImageManifest) -> bytes:
    return _bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _shape(image.config),
            "layers": [_shape(layer) for layer in image.layers],
        }
    )


def config_of(config: ImageConfig, *, created: str) -> bytes:
    """`created` is a time as RFC 3339 writes it."""
    return _bytes(
        {
            "created": created,
            "architecture": config.arch,
            "os": "linux",
            "config": {"Labels": dict(config.labels)},
            "rootfs": {"type": "layers", "diff_ids": [str(each) for each in config.diff_ids]},
            "history": [{"created": created, "created_by": "netboot image export"}],
        }
    )


def layout_file() -> bytes:
    return _bytes({"imageLayoutVersion": "1.0.0"})


def _shape(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": str(blob.digest), "size": blob.size_bytes}


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _document(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is not JSON") from error
    if not isinstance(value, dict) or value.get("schemaVersion", 2) != 2:
        raise InvalidInput(f"{what} is not one of version 2")
    return value


def _list(document: Mapping[str, Any], key: str, what: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise InvalidInput(f"{what} has no {key}")
    return value


def _descriptor(entry: object) -> Descriptor:
    match entry:
        case {"mediaType": str(media_type), "digest": str(digest), "size": int(size)} if size >= 0:
            platform, annotations = _table(entry, "platform"), _table(entry, "annotations")
            return Descriptor(
                media_type=media_type,
                digest=_digest(digest),
                size_bytes=size,
                arch=str(platform.get("architecture", "")),
                os=str(platform.get("os", "")),
                tag=str(annotations.get(NAME, "")),
            )
        case _:
            raise InvalidInput("a document names a blob without kind, digest and size")


def _table(entry: Any, key: str) -> dict[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def _digest(text: object) -> Digest:
    try:
        return Digest.parse(str(text))
    except InvalidInput as error:
        raise InvalidInput(f"the image names {str(text)[:80]!r} as a digest, and only sha256 is read") from error


def _refusal(what: str, found: Sequence[Descriptor]) -> InvalidInput:
    there = ", ".join(f"{each.tag or '(without tag)'} {each.arch}".strip() for each in found[:10])
    return InvalidInput(what, hint=f"there is {there}; name one with --tag" if there else None)
