from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netboot.errors import InvalidInput
from netboot.images.manifest import FileEntry, Manifest, manifest_digest, parse_manifest, version_of
from netboot.model.image import Digest

MANIFEST = Manifest(
    image="debian-minimal",
    number=3,
    recipe="debian-minimal",
    created_at=1700000000.5,
    arch="amd64",
    filesystem="ext4",
    kernel_version="6.1.0-1-amd64",
    kernel_args=("quiet",),
    files={
        "root": FileEntry(size_bytes=4096, digest=Digest("a" * 64)),
        "kernel": FileEntry(size_bytes=2, digest=Digest("b" * 64)),
        "initrd": FileEntry(size_bytes=3, digest=Digest("c" * 64)),
    },
    packages={"bash": "5.2", "zlib1g": "1.2"},
    build={"suite": "bookworm"},
    note="füße",
)


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(MANIFEST.to_json()), **fields})


def test_what_is_written_is_read_again() -> None:
    assert parse_manifest(MANIFEST.to_json()) == MANIFEST


def test_the_spelling_is_one_so_that_its_digest_is() -> None:
    again = parse_manifest(MANIFEST.to_json()).to_json()
    assert manifest_digest(again) == manifest_digest(MANIFEST.to_json())


def test_it_becomes_the_version_that_the_program_knows() -> None:
    version = version_of(MANIFEST, digest=Digest("d" * 64), directory=Path("/images/debian-minimal/3"))
    assert version.label == "debian-minimal:3"
    assert version.root.path == Path("/images/debian-minimal/3/root.ext4")
    assert (version.initrd.size_bytes, version.kernel.digest) == (3, Digest("b" * 64))


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
        (changed(format=2), "format is 2"),
        (changed(image="../etc"), "cannot be an image's name"),
        (changed(kernel_args=[1]), "kernel_args holds something that is not text"),
        (changed(packages={"bash": 5}), "packages holds something that is not text"),
        (changed(files={}), "files are"),
        (changed(files={"root": {}, "kernel": {}, "initrd": {}}), "files.root does not have exactly"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_manifest(text)
    assert complaint in caught.value.message


def test_a_file_cannot_point_elsewhere() -> None:
    files = json.loads(MANIFEST.to_json())["files"]
    files["root"]["file"] = "../../secret"
    with pytest.raises(InvalidInput, match=r"files\.root"):
        parse_manifest(changed(files=files))
