"""The life of an image, on clients that boot it: edited, committed, told apart, promoted, rolled back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netboot.lab.client import QemuClient
from netboot.lab.lab import DEFAULT_IMAGE
from netboot.lab.process import import_path
from tests.boot.conftest import MakeLab
from tests.boot.stories import UP_S, boot

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

IMAGE = DEFAULT_IMAGE.image
PACKAGE = "netboot-greeting"


class Admin:
    """Someone at the command line of the server."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def netboot(self, *words: str) -> str:
        argv = [sys.executable, "-m", "netboot", *words, "--data-dir", str(self._data_dir)]
        done = subprocess.run(argv, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": import_path()},
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def image(self, *words: str) -> Any:
        return json.loads(self.netboot("image", *words, "--json"))


@pytest.fixture
def admin(data_dir: Path) -> Admin:
    """At a data directory whose images may be changed: its files are links to those that were built."""
    images = data_dir / "images"
    built = images.resolve()
    images.unlink()
    images.mkdir()
    subprocess.run(["cp", "-a", "--link", built / IMAGE, images], check=True)
    return Admin(data_dir)


def make_package(folder: Path) -> Path:
    """A package of one file, as a distribution would have it."""
    tree = folder / PACKAGE
    (tree / "DEBIAN").mkdir(parents=True)
    control = {
        "Package": PACKAGE,
        "Version": "1.0-1",
        "Architecture": "all",
        "Maintainer": "nobody <nobody@localhost>",
        "Description": "a greeting",
    }
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    (tree / "usr/share/greeting").mkdir(parents=True)
    (tree / "usr/share/greeting/text").write_text("hello from a package\n")
    file = folder / "greeting.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, file], check=True, capture_output=True)
    return file


def runs(client: QemuClient) -> str:
    """The version that the client's root comes from."""
    source = client.command("findmnt --noheadings --output SOURCE --target /run/netboot/lower").strip()
    return ":".join(source.split("/")[-2:])


def test_a_change_reaches_clients_when_it_is_promoted_and_leaves_them_when_it_is_rolled_back(
    make_lab: MakeLab, admin: Admin, tmp_path: Path
) -> None:
    admin.netboot("image", "promote", f"{IMAGE}:1")

    # Snapshot, change, store the changes.
    folder = Path(admin.netboot("image", "edit", IMAGE, "--name", "greeting", "--mount").strip())
    (folder / "root/greeting.deb").write_bytes(make_package(tmp_path).read_bytes())
    (folder / "etc/motd").write_text("changed by hand\n")
    admin.netboot("image", "unmount", "greeting")
    admin.netboot("image", "edit", "--name", "greeting", "--run", "dpkg -i /root/greeting.deb && rm /root/greeting.deb")
    version = admin.image("commit", "greeting", "-m", "a greeting")
    assert version["number"] == 2
    assert admin.image("drafts") == []

    # The difference is exactly that.
    found = admin.image("diff", f"{IMAGE}:1", f"{IMAGE}:2")
    assert found["packages"] == [{"name": PACKAGE, "step": "added", "before": None, "after": "1.0-1"}]
    assert {each["path"]: each["change"] for each in found["files"]} == {
        "etc/motd": "changed",
        "usr/share/greeting": "added",
        "usr/share/greeting/text": "added",
        f"var/lib/dpkg/info/{PACKAGE}.list": "added",
        f"var/lib/dpkg/info/{PACKAGE}.md5sums": "added",
        "var/lib/dpkg/status": "changed",
        # What was logged is emptied, and the file stays.
        "var/log/dpkg.log": "added",
    }

    # Clients follow the tag.
    lab = make_lab()
    lab.start_daemon()
    admin.netboot("image", "promote", IMAGE)
    _, client = boot(lab)
    assert runs(client) == f"{IMAGE}:2"
    assert client.command("cat /usr/share/greeting/text /etc/motd") == "hello from a package\nchanged by hand\n"

    admin.netboot("image", "rollback", IMAGE)
    # Who runs keeps what it runs.
    assert client.command("cat /usr/share/greeting/text") == "hello from a package\n"
    client.reset()
    client.console.expect("login:", timeout_s=UP_S)
    client.login(timeout_s=60)
    assert runs(client) == f"{IMAGE}:1"
    assert client.command("test -e /usr/share/greeting || echo gone") == "gone\n"
    admin.netboot("image", "fsck")
