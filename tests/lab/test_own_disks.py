"""Clients' own disks on the real tgtd, written to by initiators that nobody here wrote."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from netboot.exports.iscsi_exporter import IscsiExporter
from netboot.exports.iscsi_tgt import Tgt
from netboot.exports.own_disks import OwnDisks
from netboot.exports.target_server import TargetServer
from netboot.exports.targets import Chap
from netboot.exports.version_targets import VersionTargets
from netboot.images.rootfiles import root_files
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.root import Persistence, RootMode, RootPlace
from netboot.model.target import ImageTarget
from netboot.system.commands import run
from tests.cli_kit import Cli
from tests.images_kit import publish_whole
from tests.iscsi_kit import ANYBODY, AUTHORITY, Asker, read, write
from tests.kit import MAC, OTHER_MAC, make_target

pytestmark = pytest.mark.walls

HERE = Asker(server="10.9.0.1")
KEEP, RESET = Persistence.KEEP, Persistence.RESET
# Of the file system in the tests' version, where its files are not.
FREE = 6 << 20


@pytest.fixture(autouse=True)
def _link() -> None:
    run(["ip", "link", "set", "lo", "up"])
    run(["ip", "address", "add", "10.9.0.1/32", "dev", "lo"])


@pytest.fixture
def version(tmp_path: Path) -> Version:
    root = tmp_path / "root.ext4"
    with root.open("wb") as made:
        made.truncate(8 << 20)
    run(["mkfs.ext4", "-q", "-O", "^has_journal", root])
    return publish_whole(ImageStore(tmp_path / "images"), blocks=root)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], IscsiExporter]:
    """An exporter, as a daemon that starts has it."""

    def exporter() -> IscsiExporter:
        store, server = ImageStore(tmp_path / "images"), TargetServer(lambda: Tgt(tmp_path / "run"))
        disks = OwnDisks(
            server,
            clients=tmp_path / "clients",
            root_of=lambda version: root_files(store, version).path,
            chap_of=secret_of,
        )
        networks = [IPv4Network("10.9.0.0/24")]
        versions = VersionTargets(
            server, root=tmp_path / "exports", networks=networks, files_of=lambda v, form: root_files(store, v, form)
        )
        return IscsiExporter(server, versions, disks)

    return exporter


def secret_of(initiator: str) -> Chap:
    name = initiator.rpartition(".")[2]
    return Chap(user=name, secret=f"secret-of-{name}")


def image(version: Version, persistent: Persistence, hostname: str = "lab-01") -> ImageTarget:
    mac = MAC if hostname != "lab-02" else OTHER_MAC
    target = replace(make_target(), mac=mac, hostname=hostname, version=version)
    return replace(target, root=RootMode.ISCSI, persistent=persistent)


def asker(hostname: str = "lab-01") -> Asker:
    chap = secret_of(f"{AUTHORITY}:client.{hostname}")
    return replace(HERE, name=f"{AUTHORITY}:client.{hostname}", user=chap.user, secret=chap.secret)


def name_of(place: RootPlace) -> str:
    return place.place.split(":", 3)[3]


def disks_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob("clients/*/disks/*") if each.suffix != ".json")


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def wait_until_unused(folder: Path, target: str) -> None:
    deadline = time.monotonic() + 30
    while any(each.users for each in Tgt(folder / "run").observe([target])):
        assert time.monotonic() < deadline, f"{target} is still used"
        time.sleep(0.1)


Make = Callable[[], IscsiExporter]


def test_what_is_kept_is_there_again_and_the_version_is_as_it_was(version: Version, make: Make, tmp_path: Path) -> None:
    before = sha256(version.root.path), version.root.path.stat().st_mtime_ns
    wanted, exporter = image(version, KEEP), make()
    assert exporter.start([version]) == ()
    assert exporter.served(wanted) is None
    place = exporter.ensure(wanted)
    target = name_of(place)
    assert (exporter.served(wanted), exporter.ensure(wanted)) == (place, place)
    with asker().logged_in(target, 1, writable=True) as shell:
        write(shell, FREE, 0x42)
    (file,) = tmp_path.glob("clients/*/disks/debian.1.keep.ext4")
    assert file.read_bytes()[FREE : FREE + 4096] == b"\x42" * 4096
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "has_journal" in run(["dumpe2fs", "-h", file]).stdout
    run(["e2fsck", "-fn", file])

    # It dies, and is given all again; then another daemon starts.
    os.kill(int((tmp_path / "run/tgtd.pid").read_text()), signal.SIGKILL)
    time.sleep(0.5)
    assert exporter.keep_up()
    written = sha256(file)
    assert asker().sha256(target, 1, tmp_path / "copy") == written
    exporter.stop()
    assert list(make().steps([version], [wanted])) == [
        f"add target {target} for {asker().name} by secret",
        f"  LUN 1: {file}, writable",
    ]
    following = make()
    assert following.start([version]) == ()
    assert following.served(wanted) == place
    assert asker().sha256(target, 1, tmp_path / "copy") == written
    assert (sha256(version.root.path), version.root.path.stat().st_mtime_ns) == before
    assert following.served(image(version, KEEP, "lab-02")) is None
    following.stop()


def test_nobody_else_logs_in_to_a_disk(version: Version, make: Make) -> None:
    exporter = make()
    one, two = (name_of(exporter.ensure(image(version, KEEP, each))) for each in ("lab-01", "lab-02"))
    assert one != two
    assert [asker("lab-01").refusal(one, 1), asker("lab-02").refusal(two, 1)] == ["", ""]
    assert asker("lab-02").refusal(one, 1) == "Target not found"
    assert replace(asker("lab-01"), name=ANYBODY).refusal(one, 1) == "Target not found"
    # By the other's name, which everybody knows, and its own secret, or none.
    thief = replace(asker("lab-02"), name=asker("lab-01").name)
    assert thief.refusal(one, 1) == "Authentication failure"
    assert replace(HERE, name=thief.name).refusal(one, 1) == "Authentication failure"
    assert asker("lab-02").targets() == {two}
    exporter.stop()


def test_who_has_another_name_logs_in_by_that_to_the_same_disk(version: Version, make: Make, tmp_path: Path) -> None:
    exporter = make()
    place = exporter.ensure(image(version, KEEP))
    with asker().logged_in(name_of(place), 1) as shell:
        renamed = image(version, KEEP, "kiosk")
        assert exporter.served(renamed) is None
        assert exporter.ensure(renamed) == place
        assert "read 4096" in read(shell, 0)
    assert asker("kiosk").refusal(name_of(place), 1) == ""
    wait_until_unused(tmp_path, name_of(place))
    exporter.keep_up()
    assert asker().refusal(name_of(place), 1) == "Target not found"
    exporter.stop()


def test_each_boot_gets_a_new_disk_and_who_runs_keeps_its_own(version: Version, make: Make, tmp_path: Path) -> None:
    wanted, exporter = image(version, RESET), make()
    first = exporter.ensure(wanted)
    assert (exporter.served(wanted), exporter.ensure(wanted)) == (first, first)
    assert disks_in(tmp_path) == ["debian.1.reset-1.ext4"]
    with asker().logged_in(name_of(first), 1, writable=True) as running:
        write(running, FREE, 0x42)
        # Somebody fetches its script, twice.
        assert exporter.served(wanted) is None
        second = exporter.ensure(wanted)
        assert exporter.ensure(wanted) == exporter.served(wanted) == second != first
        assert asker().sha256(name_of(second), 1, tmp_path / "copy") == sha256(version.root.path)
        exporter.keep_up()
        assert "read 4096" in read(running, FREE)
    # The session is gone, as when the network is, but nobody has booted since.
    wait_until_unused(tmp_path, name_of(first))
    exporter.keep_up()
    assert disks_in(tmp_path) == ["debian.1.reset-1.ext4", "debian.1.reset-2.ext4"]
    with (
        asker().logged_in(name_of(first), 1) as lingering,
        asker().logged_in(name_of(second), 1, writable=True) as shell,
    ):
        write(shell, FREE, 0x43)
        exporter.keep_up()
        assert "read 4096" in read(lingering, 0)
    wait_until_unused(tmp_path, name_of(first))
    exporter.keep_up()
    assert disks_in(tmp_path) == ["debian.1.reset-2.ext4"]
    assert asker().targets() == {name_of(second)}
    exporter.stop()


def test_a_disk_that_was_removed_is_let_go_and_made_anew(version: Version, make: Make, tmp_path: Path) -> None:
    wanted, exporter = image(version, KEEP), make()
    place = exporter.ensure(wanted)
    (file,) = tmp_path.glob("clients/*/disks/*.ext4")
    cli = Cli(tmp_path)
    cli.ok("client", "add", str(MAC), "--name", "lab-01")
    (tmp_path / "netboot.toml").write_text('[exports]\niscsi = "tgt"\n')
    (tmp_path / "run/lock").write_text(f"{tmp_path / 'netboot.toml'}\n")
    with asker().logged_in(name_of(place), 1, writable=True) as shell:
        write(shell, FREE, 0x42)
        ran = cli("client", "disk", "remove", "lab-01")
        assert (ran.code, "is logged in at its disk debian.1.keep" in ran.stderr) == (4, True)
        assert [each["is_used"] for each in cli.ok("client", "disk", "list", "--json").json] == [True]
    wait_until_unused(tmp_path, name_of(place))
    cli.ok("client", "disk", "remove", "lab-01")
    assert exporter.served(wanted) is None
    assert exporter.ensure(wanted) == place
    with asker().logged_in(name_of(place), 1, writable=True) as shell:
        assert file.read_bytes()[FREE : FREE + 4096] == bytes(4096)
        write(shell, FREE, 0x43)
    assert file.read_bytes()[FREE : FREE + 4096] == b"\x43" * 4096
    wait_until_unused(tmp_path, name_of(place))
    file.unlink()
    exporter.keep_up()
    assert asker().targets() == set()
    exporter.stop()
