from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netboot.errors import InvalidInput
from netboot.images.entries import DeltaEntry, FileEntry, Files, RootEntry, VerityEntry
from netboot.images.manifest import Manifest, Origin, OriginKind, manifest_digest, parse_manifest, version_of
from netboot.model.image import Digest, Parent
from tests.images_kit import format_1_json

WHOLE = Files(
    root=RootEntry(
        size_bytes=8192,
        verity=VerityEntry(
            root_hash=Digest("a" * 64),
            salt=bytes(range(32)),
            tree=FileEntry(size_bytes=8192, digest=Digest("e" * 64)),
        ),
    ),
    kernel=FileEntry(size_bytes=2, digest=Digest("b" * 64)),
    initrd=FileEntry(size_bytes=3, digest=Digest("c" * 64)),
)
DELTA = DeltaEntry(size_bytes=16384, digest=Digest("d" * 64), chunk_bytes=4096, changed_bytes=8192)
MANIFEST = Manifest(
    image="debian-minimal",
    number=3,
    origin=Origin(kind=OriginKind.RECIPE, name="debian-minimal"),
    created_at=1700000000.5,
    created_by="erika",
    arch="amd64",
    filesystem="ext4",
    kernel_version="6.1.0-1-amd64",
    kernel_args=("quiet",),
    files=WHOLE,
    packages={"bash": "5.2", "zlib1g": "1.2"},
    build={"suite": "bookworm"},
    note="füße",
)
CHANGES = replace(MANIFEST, parent=Parent(number=2, digest=Digest("f" * 64)), files=replace(WHOLE, delta=DELTA))
FILES_JSON = json.loads(CHANGES.to_json())["files"]


def changed(manifest: Manifest = MANIFEST, **fields: Any) -> str:
    return json.dumps({**json.loads(manifest.to_json()), **fields})


def with_file(part: str, **fields: Any) -> str:
    """The manifest of changes with other fields for one of its files."""
    return changed(CHANGES, files={**FILES_JSON, part: {**FILES_JSON[part], **fields}})


@pytest.mark.parametrize("manifest", [MANIFEST, CHANGES])
def test_what_is_written_is_read_again(manifest: Manifest) -> None:
    assert parse_manifest(manifest.to_json()) == manifest


def test_the_spelling_is_one_so_that_its_digest_is() -> None:
    again = parse_manifest(MANIFEST.to_json()).to_json()
    assert manifest_digest(again) == manifest_digest(MANIFEST.to_json())


def test_it_becomes_the_version_that_the_program_knows() -> None:
    version = version_of(CHANGES, digest=Digest("d" * 64), directory=Path("/images/debian-minimal/3"))
    assert version.label == "debian-minimal:3"
    assert version.root.path == Path("/images/debian-minimal/3/root.ext4")
    assert version.root.verity is not None and version.root.verity.tree.path.name == "root.verity"
    assert (version.initrd.size_bytes, version.kernel.digest) == (3, Digest("b" * 64))
    assert version.delta is not None and (version.delta.path.name, version.delta.changed_bytes) == ("root.delta", 8192)


def test_what_must_be_there_depends_on_how_a_version_is_stored() -> None:
    assert [name for name, _ in WHOLE.stored()] == ["vmlinuz", "initrd.img", "root.ext4", "root.verity"]
    assert [name for name, _ in CHANGES.files.stored()] == ["vmlinuz", "initrd.img", "root.delta"]
    assert dict(CHANGES.files.derivable()) == {
        "root.ext4": "verity-" + "a" * 64,
        "root.verity": "sha256-" + "e" * 64,
    }


def test_the_first_format_is_read_as_well() -> None:
    root = FileEntry(size_bytes=5000, digest=Digest("9" * 64))
    manifest = parse_manifest(format_1_json(MANIFEST, root))
    assert manifest.files.root == RootEntry(size_bytes=5000, digest=Digest("9" * 64))
    assert manifest.origin == Origin(kind=OriginKind.RECIPE, name="debian-minimal")
    assert (manifest.parent, manifest.files.delta, manifest.created_by) == (None, None, "")
    version = version_of(manifest, digest=Digest("d" * 64), directory=Path("/x"))
    assert (version.root.digest, version.root.verity) == (Digest("9" * 64), None)
    with pytest.raises(ValueError, match="not written"):
        manifest.to_json()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (changed(number=0).replace('"number": 0', '"number": ' + "9" * 5000), "not JSON"),
        (changed(created_at=float("nan")), "NaN is no number"),
        ("[]", "not a JSON object"),
        ("{}", "lacks arch, build"),
        (changed(colour="red"), "unknown field colour"),
        (changed(number="3"), "number cannot be '3'"),
        (changed(number=True), "number cannot be True"),
        (changed(number=0), "count from 1"),
        (changed(format=3), "format is 3"),
        (changed(format="2"), "format cannot be '2'"),
        (changed(format=True), "format cannot be True"),
        (changed(format=1), "lacks recipe"),
        (changed(image="../etc"), "cannot be an image's name"),
        (changed(kernel_args=[1]), "kernel_args holds something that is not text"),
        (changed(packages={"bash": 5}), "packages holds something that is not text"),
        (changed(origin={"kind": "theft", "name": "x"}), "origin is not a kind"),
        (changed(origin={"kind": "draft"}), "origin is not a kind"),
        (changed(parent={"number": 2, "digest": "sha256:" + "0" * 64}), "parent and files.delta go together"),
        (changed(CHANGES, parent=None), "parent and files.delta go together"),
        (changed(CHANGES, parent={"number": 3, "digest": "sha256:" + "0" * 64}), "parent is 3, which is not before 3"),
        (changed(CHANGES, parent={"number": True, "digest": "sha256:" + "0" * 64}), "parent does not have exactly"),
        (changed(CHANGES, parent={"number": 2}), "parent does not have exactly"),
        (changed(files={}), "files are none"),
        (changed(files={"root": {}, "verity": {}, "kernel": {}, "initrd": {}}), "files.root does not have exactly"),
        (changed(files={**FILES_JSON, "shadow": {}}), "files are delta, initrd, kernel, root, shadow"),
        (with_file("root", file="../../secret"), "files.root is '../../secret'"),
        (with_file("root", root_hash="0"), "files.root: root_hash and salt"),
        (with_file("root", size_bytes=4097), "no whole blocks"),
        (with_file("root", size_bytes=0), "no whole blocks"),
        (with_file("kernel", size_bytes=-1), "files.kernel is 'vmlinuz' of -1 bytes"),
        (with_file("kernel", size_bytes=True), "files.kernel.size_bytes cannot be True"),
        (with_file("kernel", digest="md5:0"), "is not a digest"),
        (with_file("delta", chunk_bytes=5000), "files.delta changes 8192 bytes in chunks of 5000"),
        (with_file("delta", changed_bytes=1), "files.delta changes 1 bytes"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_manifest(text)
    assert complaint in caught.value.message
