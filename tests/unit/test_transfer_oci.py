"""Documents of OCI images: read strictly, chosen among, and written so that they are read again."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from netboot.errors import InvalidInput
from netboot.images.transfer.oci import (
    CONFIG_TYPE,
    INDEX_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    ImageConfig,
    ImageManifest,
    choose,
    config_of,
    index_of,
    manifest_of,
    parse_config,
    parse_index,
    parse_manifest,
)
from netboot.model.image import Digest

DIGEST = Digest("0" * 64)


def blob(**fields: Any) -> Descriptor:
    return Descriptor(**{"media_type": MANIFEST_TYPE, "digest": DIGEST, "size_bytes": 7, **fields})


def test_what_is_written_is_read() -> None:
    named = blob(arch="amd64", os="linux", tag="3")
    assert parse_index(index_of(named)) == (named,)
    image = ImageManifest(config=blob(media_type=CONFIG_TYPE), layers=(blob(media_type=LAYER_TYPE),) * 2)
    assert parse_manifest(manifest_of(image)) == image
    config = ImageConfig(arch="amd64", diff_ids=(DIGEST,), labels={"a": "b"})
    read = parse_config(config_of(config, created="2026-01-01T00:00:00Z"), layers=1)
    assert read == dataclasses.replace(config, labels={})


def test_one_image_is_chosen_by_tag_and_machine() -> None:
    amd, arm = blob(arch="amd64", os="linux", tag="a"), blob(arch="arm64", os="linux", tag="a")
    other, windows = blob(tag="b"), blob(arch="amd64", os="windows", tag="a")
    assert choose([other], arch="amd64", tag=None) == other
    assert choose([amd, arm, windows], arch="arm64", tag=None) == arm
    assert choose([amd, arm, other], arch="amd64", tag="b") == other
    assert choose([amd, arm, other], arch="amd64", tag="a") == amd
    for found, arch, tag in (
        ([amd, other], "amd64", None),
        ([amd, arm], "riscv64", None),
        ([], "amd64", None),
        ([amd], "amd64", "c"),
    ):
        with pytest.raises(InvalidInput, match=r"the archive (holds|has)") as caught:
            choose(found, arch=arch, tag=tag)
        assert not found or "--tag" in (caught.value.hint or "")


def test_an_index_may_lead_to_another() -> None:
    assert parse_index(index_of(blob(media_type=INDEX_TYPE)))[0].is_index


ENTRY = {"mediaType": LAYER_TYPE, "digest": str(DIGEST), "size": 1}
CONFIG = {"mediaType": CONFIG_TYPE, "digest": str(DIGEST), "size": 1}


@pytest.mark.parametrize(
    "manifest",
    [
        "[]", "{", "1", "{}", '"x"', "[" * 100_000,
        {"schemaVersion": 1, "config": CONFIG, "layers": []},
        {"schemaVersion": 2, "layers": []},
        {"schemaVersion": 2, "config": CONFIG, "layers": {}},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{**ENTRY, "size": -1}]},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{**ENTRY, "size": "1"}]},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{**ENTRY, "digest": "sha256:../../../etc/passwd"}]},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{**ENTRY, "digest": "sha512:" + "0" * 128}]},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{**ENTRY, "mediaType": "text/plain"}]},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{**ENTRY, "mediaType": f"{LAYER_TYPE}+encrypted"}]},
        {"schemaVersion": 2, "config": CONFIG, "layers": [ENTRY] * 1001},
    ],
)  # fmt: skip
def test_broken_manifests_are_refused(manifest: Any) -> None:
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    with pytest.raises(InvalidInput):
        parse_manifest(text.encode())


@pytest.mark.parametrize("config", [{}, {"rootfs": {}}, {"rootfs": {"diff_ids": []}}, {"rootfs": {"diff_ids": ["x"]}}])
def test_a_config_names_the_digest_of_every_layer(config: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_config(json.dumps(config).encode(), layers=1)
