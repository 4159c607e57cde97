"""Importing containers: layers as umoci unpacks them, what skopeo writes, blobs that are not what they say."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from netboot.errors import InvalidInput
from tests.import_kit import CAPABILITY, TAR, fill, make_rich_system, told
from tests.tar_kit import archive, folder, hardlink, item, seen, symlink


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return make_rich_system(tmp_path / "system")


def _layout(tmp_path: Path, *layers: bytes) -> Path:
    """A layout of these layers, put together by umoci."""
    layout = tmp_path / "layout"
    subprocess.run(["umoci", "init", "--layout", layout], check=True)
    subprocess.run(["umoci", "new", "--image", f"{layout}:latest"], check=True)
    for index, layer in enumerate(layers):
        (tmp_path / f"{index}.tar").write_bytes(layer)
        subprocess.run(
            ["umoci", "raw", "add-layer", "--image", f"{layout}:latest", tmp_path / f"{index}.tar"],
            check=True,
            capture_output=True,
        )
    return layout


def _unpacked(layout: Path, place: Path) -> Path:
    """What umoci makes of it."""
    subprocess.run(["umoci", "raw", "unpack", "--image", f"{layout}:latest", place], check=True, capture_output=True)
    return place


def layers_of(system: Path) -> list[bytes]:
    base = subprocess.run([*TAR, "-C", system, "-cf", "-", "."], check=True, capture_output=True).stdout
    capability = {"security.capability": CAPABILITY}
    changed = [
        folder("etc"),
        item("etc/.wh.acl", b""),
        item("etc/new", b"new"),
        folder("usr"),
        folder("usr/bin"),
        item("usr/bin/.wh..wh..opq", b""),
        item("usr/bin/tool", b"tool", mode=0o755, xattrs=capability),
        folder("var"),
        folder("var/lib"),
        hardlink("var/lib/across", "etc/os-release"),
        hardlink("var/lib/other", "usr/lib/os-release"),
    ]
    again = [folder("usr"), folder("usr/bin"), symlink("usr/bin/tool", "other"), item("sbin/more", b"through a link")]
    return [base, archive(changed), archive(again)]


def test_an_image_of_layers_is_what_umoci_makes_of_it(system: Path, tmp_path: Path) -> None:
    layout = _layout(tmp_path, *layers_of(system))
    tree, notices = fill(layout, tmp_path)
    assert notices[0].startswith("3 layers, image sha256:")
    assert (tree / "usr/sbin/more").read_bytes() == b"through a link"
    assert sorted(each.name for each in (tree / "usr/bin").iterdir()) == ["tool"]
    assert not (tree / "etc/acl").exists()
    assert (tree / "var/lib/other").stat().st_ino == (tree / "usr/lib/os-release").stat().st_ino
    other = _unpacked(layout, tmp_path / "by-umoci")
    mine, theirs = ({entry.path: (entry, content) for entry, content in seen(each)} for each in (tree, other))
    assert mine.keys() == theirs.keys()
    for path, (entry, content) in mine.items():
        theirs_entry, theirs_content = theirs[path]
        assert content == theirs_content
        for what in ("kind", "mode", "uid", "gid", "target", "xattrs"):
            assert getattr(entry, what) == getattr(theirs_entry, what), (path, what)


@pytest.mark.parametrize("how", ["oci-archive", "zstd"])
def test_what_skopeo_writes_is_imported(system: Path, tmp_path: Path, how: str) -> None:
    layout = _layout(tmp_path, *layers_of(system))
    wanted, _ = fill(layout, tmp_path)
    wanted = wanted.rename(tmp_path / "wanted")
    copied = tmp_path / "copied"
    target = f"oci-archive:{copied}:tagged" if how == "oci-archive" else f"oci:{copied}:tagged"
    zstd = ["--dest-compress-format", "zstd"] if how == "zstd" else []
    policy = ["skopeo", "copy", "--insecure-policy", "--quiet", *zstd]
    subprocess.run([*policy, f"oci:{layout}:latest", target], check=True)
    tree, _ = fill(copied, tmp_path, tag="tagged")
    assert told(tree) == told(wanted)
    with pytest.raises(InvalidInput, match="no image tagged other"):
        fill(copied, tmp_path, tag="other")


def _blobs(layout: Path) -> dict[str, Path]:
    """The layout's blobs by what they are."""
    index = json.loads((layout / "index.json").read_text())
    place = layout / "blobs/sha256"
    manifest = place / index["manifests"][0]["digest"].removeprefix("sha256:")
    told = json.loads(manifest.read_text())
    names = {"config": told["config"]["digest"], "layer": told["layers"][0]["digest"]}
    return {"manifest": manifest, **{name: place / each.removeprefix("sha256:") for name, each in names.items()}}


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
@pytest.mark.parametrize("damage", ["byte", "more", "less", "gone", "link"])
def test_a_blob_that_is_not_what_its_name_says_is_named(system: Path, tmp_path: Path, part: str, damage: str) -> None:
    layout = _layout(tmp_path, *layers_of(system)[:1])
    blob = _blobs(layout)[part]
    data = bytearray(blob.read_bytes())
    blob.unlink()
    match damage:
        case "byte":
            data[-30] ^= 1
        case "more":
            data += b"x"
        case "less":
            del data[-1]
        case "link":
            (tmp_path / "outside").write_bytes(data)
            blob.symlink_to(tmp_path / "outside")
    if damage not in ("gone", "link"):
        blob.write_bytes(data)
    with pytest.raises(InvalidInput, match=blob.name):
        fill(layout, tmp_path)


def test_a_layer_that_unpacks_to_something_else_is_told(system: Path, tmp_path: Path) -> None:
    layout = _layout(tmp_path, *layers_of(system)[:1])
    blobs = _blobs(layout)
    config = json.loads(blobs["config"].read_text())
    config["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64
    manifest = json.loads(blobs["manifest"].read_text())
    manifest["config"] |= _add_blob(layout, config)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0] |= _add_blob(layout, manifest)
    (layout / "index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidInput, match="unpacks to something else"):
        fill(layout, tmp_path)


def _add_blob(layout: Path, document: object) -> dict[str, object]:
    content = json.dumps(document).encode()
    name = hashlib.sha256(content).hexdigest()
    (layout / "blobs/sha256" / name).write_bytes(content)
    return {"digest": f"sha256:{name}", "size": len(content)}
