"""A system that went out as an OCI image and came back boots as before: export, import, and a real client."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.model.names import VersionRef
from tests.boot.conftest import MakeLab
from tests.boot.stories import boot
from tests.cli_kit import Cli

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

ORIGINAL, RETURNED = VersionRef("debian-minimal"), VersionRef("returned")


@pytest.fixture
def data_dir(data_dir: Path) -> Path:
    """As `conftest.data_dir`, but images can be added beside those that there are."""
    images = data_dir / "images"
    there = images.resolve()
    images.unlink()
    images.mkdir()
    (images / ORIGINAL.image).symlink_to(there / ORIGINAL.image)
    return data_dir


def test_a_client_boots_what_was_exported_and_imported(make_lab: MakeLab, data_dir: Path, tmp_path: Path) -> None:
    cli = Cli(data_dir)
    cli.ok("image", "export", str(ORIGINAL), str(tmp_path / "away"), "--format", "oci")
    cli.ok("image", "import", RETURNED.image, str(tmp_path / "away"))
    one, other = (cli.ok("image", "show", str(ref), "--json").json for ref in (ORIGINAL, RETURNED))
    assert (one["packages"], one["kernel_version"]) == (other["packages"], other["kernel_version"])

    lab = make_lab(image=RETURNED)
    lab.start_daemon()
    seat, client = boot(lab)
    assert client.command("hostname") == f"{seat.name}\n"
    assert client.command("cat /etc/os-release").startswith('PRETTY_NAME="Debian')
    assert client.command("uname -r").strip() == other["kernel_version"]
    installed = dict(line.split("\t") for line in client.command("dpkg-query --show").splitlines())
    assert {name.partition(":")[0]: version for name, version in installed.items()} == one["packages"]
    assert client.command("systemctl is-system-running").strip() in ("running", "starting", "degraded")
    assert client.command("systemctl --failed --no-legend").strip() == ""
