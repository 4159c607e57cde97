"""Exports: other tools read them, they come back as they went, and nothing half is ever seen."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from netboot import initramfs
from netboot.images.transfer.entry import Kind
from tests.cli_kit import NETBOOT, Cli, environ
from tests.import_kit import CAPABILITY, TAR, fill, make_bootable_system, make_rich_system, mounted, told


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A store with the version rich:1, whose files have everything that files can have."""
    tree = make_bootable_system(tmp_path / "system", within=make_rich_system)
    cli = Cli(tmp_path / "data")
    cli.ok("image", "import", "rich", str(tree))
    return cli


def root_of(cli: Cli, tmp_path: Path, image: str = "rich") -> dict[bytes, tuple[object, ...]]:
    with mounted(cli.data_dir / f"images/{image}/1/root.ext4", tmp_path / "mnt", "-o", "loop,ro") as root:
        return {path: what for path, what in told(root).items() if path != b"lost+found"}


def test_a_tar_is_the_version_and_gnu_tar_reads_it(cli: Cli, tmp_path: Path) -> None:
    wanted = root_of(cli, tmp_path)
    assert wanted[b"usr/bin/ping"][-2] == [("security.capability", CAPABILITY), ("user.note", b"\0\xff=\n")]
    cli.ok("image", "export", "rich", str(tmp_path / "a.tar"))
    cli.ok("image", "export", "rich:1", str(tmp_path / "b.tar"))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "a.tar").stat().st_size < 15 << 20  # the sparse file costs nothing
    place = tmp_path / "by-tar"
    place.mkdir()
    subprocess.run([*TAR, "-C", place, "-xpf", tmp_path / "a.tar"], check=True)
    assert told(place) == wanted
    tree, _ = fill(tmp_path / "a.tar", tmp_path)
    assert told(tree) == wanted


@pytest.mark.parametrize("packing", ["gzip", "xz", "zstd"])
def test_a_compressed_tar_is_the_same(cli: Cli, tmp_path: Path, packing: str) -> None:
    cli.ok("image", "export", "rich", str(tmp_path / "a"), "--compress", packing)
    assert subprocess.run(["tar", f"--{packing}", "-tf", tmp_path / "a"], capture_output=True).returncode == 0
    tree, _ = fill(tmp_path / "a", tmp_path)
    assert told(tree) == root_of(cli, tmp_path)


def test_a_qcow2_is_the_root_bit_for_bit_with_what_starts_it(cli: Cli, tmp_path: Path) -> None:
    said = cli.ok("image", "export", "rich", str(tmp_path / "disk"), "--format", "qcow2", "--json").json
    assert said == {"image": "rich", "number": 1, "format": "qcow2", "path": str(tmp_path / "disk")}
    version = cli.data_dir / "images/rich/1"
    compare = ["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw"]
    subprocess.run([*compare, tmp_path / "disk", version / "root.ext4"], check=True)
    for name in ("vmlinuz", "initrd.img"):
        assert (tmp_path / f"disk.{name}").read_bytes() == (version / name).read_bytes()
    tree, _ = fill(tmp_path / "disk", tmp_path)
    assert told(tree) == root_of(cli, tmp_path)


def test_an_oci_image_is_taken_by_skopeo_and_umoci(cli: Cli, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    cli.ok("image", "export", "rich", str(layout), "--format", "oci")
    policy = ["skopeo", "copy", "--insecure-policy", "--quiet"]
    subprocess.run([*policy, f"oci:{layout}:1", f"dir:{tmp_path}/checked"], check=True)
    inspected = json.loads(subprocess.run(["skopeo", "inspect", f"oci:{layout}"], capture_output=True).stdout)
    assert inspected["Labels"]["org.opencontainers.image.title"] == "rich"
    subprocess.run(
        ["umoci", "raw", "unpack", "--image", f"{layout}:1", tmp_path / "unpacked"], check=True, capture_output=True
    )
    wanted = root_of(cli, tmp_path)
    assert told(tmp_path / "unpacked") == wanted
    cli.ok("image", "export", "rich", str(tmp_path / "archive"), "--format", "oci-archive")
    subprocess.run([*policy, f"oci-archive:{tmp_path}/archive:1", f"dir:{tmp_path}/also"], check=True)
    for source in (layout, tmp_path / "archive"):
        tree, _ = fill(source, tmp_path)
        assert told(tree) == wanted


@pytest.mark.parametrize("format", ["tar", "qcow2", "oci"])
def test_what_was_exported_and_imported_is_the_same_system(cli: Cli, tmp_path: Path, format: str) -> None:
    cli.ok("image", "export", "rich", str(tmp_path / "away"), "--format", format)
    cli.ok("image", "import", "again", str(tmp_path / "away"))
    one, other = root_of(cli, tmp_path), root_of(cli, tmp_path, "again")
    assert one.keys() == other.keys()
    files = {path for path in one if one[path] != other[path] and one[path][0] is not Kind.FOLDER}
    made_anew = (b"boot/initrd.img-6.1.0-10", b"etc/enabled", b"etc/.updated", b"var/.updated")
    assert {path for path in files if path not in made_anew and path.decode() not in initramfs.PLACES.values()} == set()


def test_nothing_is_overwritten(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    for place, code in (("there", 4), ("none/below", 3)):
        assert cli("image", "export", "rich", str(tmp_path / place)).code == code
    (tmp_path / "disk.vmlinuz").write_text("mine")
    assert cli("image", "export", "rich", str(tmp_path / "disk"), "--format", "qcow2").code == 4
    assert (tmp_path / "there").read_text() == (tmp_path / "disk.vmlinuz").read_text() == "mine"
    assert not (tmp_path / "disk").exists()
    assert cli("image", "export", "rich", str(tmp_path / "x"), "--format", "oci", "--compress", "xz").code == 2
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("format", ["tar", "qcow2", "oci"])
def test_an_export_that_is_killed_shows_nothing(cli: Cli, tmp_path: Path, number: signal.Signals, format: str) -> None:
    place = tmp_path / "away"
    argv = [*NETBOOT, "--data-dir", str(cli.data_dir), "image", "export", "rich", str(place), "--format", format]
    workshop = tmp_path / ".away.partial"
    exporting = subprocess.Popen(argv, env=environ(), stderr=subprocess.DEVNULL)
    while not (workshop.is_dir() and any(workshop.iterdir())) and exporting.poll() is None:
        time.sleep(0.002)
    exporting.send_signal(number)
    exporting.wait(30)
    assert exporting.returncode in (-number, 130)
    assert not place.exists()
    if number == signal.SIGINT:
        assert not workshop.exists()
    assert str(cli.data_dir) not in Path("/proc/mounts").read_text()
    cli.ok("image", "export", "rich", str(place), "--format", format)
    assert not workshop.exists()
