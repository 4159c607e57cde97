"""Published versions as iSCSI targets of the real tgtd, over restarts of the daemon and removals of versions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.exports.iscsi_exporter import IscsiExporter
from netboot.exports.iscsi_tgt import Tgt
from netboot.exports.own_disks import OwnDisks
from netboot.exports.target_server import TargetServer
from netboot.exports.targets import Chap
from netboot.exports.version_targets import VersionTargets
from netboot.images.removal import remove_versions
from netboot.images.rootfiles import root_files
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.root import RootFormat, RootMode, RootPlace
from netboot.model.target import ImageTarget
from netboot.system.commands import run
from tests.images_kit import publish_whole
from tests.iscsi_kit import ANYBODY, AUTHORITY, Asker
from tests.kit import make_target

pytestmark = pytest.mark.walls

RUN = Path("/run/tgt")
LAB = IPv4Network("10.9.0.0/24")
HERE = Asker(server="10.9.0.1")
LAB_1, LAB_2 = "lab-01", "lab-02"
ONE, TWO = (f"{AUTHORITY}:client.{name}" for name in (LAB_1, LAB_2))

Make = Callable[..., IscsiExporter]


@pytest.fixture(autouse=True)
def _link() -> None:
    run(["ip", "link", "set", "lo", "up"])
    run(["ip", "address", "add", "10.9.0.1/32", "dev", "lo"])


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def make(tmp_path: Path, store: ImageStore) -> Make:
    """An exporter, as a daemon that starts has it."""

    def exporter(chap_of: Callable[[str], Chap] | None = None) -> IscsiExporter:
        files_of = partial(root_files, store)
        server = TargetServer(lambda: Tgt(RUN))
        root = tmp_path / "exports"
        versions = VersionTargets(server, root=root, networks=[LAB], files_of=files_of, chap_of=chap_of)
        disks = OwnDisks(
            server,
            clients=tmp_path / "clients",
            root_of=lambda version: files_of(version).path,
            chap_of=secret_of,
        )
        return IscsiExporter(server, versions, disks)

    return exporter


def secret_of(initiator: str) -> Chap:
    return Chap(user=initiator.rpartition(".")[2], secret=f"secret-of-{initiator.rpartition('.')[2]}")


def image(version: Version, hostname: str, format: RootFormat = RootFormat.EXT4) -> ImageTarget:
    return replace(make_target(), version=version, hostname=hostname, root=RootMode.ISCSI, root_format=format)


def parts(place: RootPlace) -> tuple[str, int]:
    """The target and the LUN of a place, as a kernel line tells them: PROTOCOL:PORT:LUN:TARGET."""
    protocol, port, lun, target = place.place.split(":", 3)
    assert (protocol, port) == ("", "3260")
    return target, int(lun)


def root_of(version: Version) -> str:
    return hashlib.sha256(version.root.path.read_bytes()).hexdigest()


def test_a_version_is_read_bit_for_bit_also_after_it_was_removed(store: ImageStore, make: Make, tmp_path: Path) -> None:
    one, two = publish_whole(store), publish_whole(store)
    exporter = make()
    assert exporter.start([one, two]) == ()
    assert exporter.served(image(one, LAB_1)) is None
    place = exporter.ensure(image(one, LAB_1))
    assert exporter.served(image(one, LAB_2)) == place
    assert one.root.verity is not None
    assert place.root_hash == one.root.verity.root_hash
    target, lun = parts(place)
    wanted = root_of(one)
    with HERE.logged_in(target, lun):
        remove_versions(store, "debian", [one], check=lambda: None)
        assert not one.root.path.exists()
        assert HERE.sha256(target, lun, tmp_path / "copy") == wanted
        assert not exporter.keep_up()
    exporter.stop()
    # The next daemon finds no such version: nobody can want it, and its bits go.
    following = make()
    assert following.start([two]) == ()
    assert list((tmp_path / "exports").rglob("root.ext4")) == []
    following.stop()


def test_a_daemon_that_starts_serves_what_was_served_before(store: ImageStore, make: Make, tmp_path: Path) -> None:
    versions = [publish_whole(store), publish_whole(store)]
    first = make()
    target, lun = parts(first.ensure(image(versions[0], LAB_1)))
    first.stop()
    assert is_refused(target, lun)
    following = make()
    assert following.start(versions) == ()
    assert HERE.targets() == {target}
    assert HERE.sha256(target, lun, tmp_path / "copy") == root_of(versions[0])
    following.stop()


def is_refused(target: str, lun: int) -> bool:
    """tgtd is gone, so the port is closed."""
    with pytest.raises(AssertionError, match="onnect"):
        HERE.refusal(target, lun)
    return True


def test_each_client_is_admitted_by_its_own_secret_and_remembered(store: ImageStore, make: Make) -> None:
    version = publish_whole(store)
    first = make(secret_of)
    target, lun = parts(first.ensure(image(version, LAB_1)))
    assert first.served(image(version, LAB_2)) is None

    def asker(name: str, *, by: str = "") -> Asker:
        chap = secret_of(by or name)
        return replace(HERE, name=name, user=chap.user, secret=chap.secret)

    assert asker(ONE).refusal(target, lun) == ""
    assert asker(TWO).refusal(target, lun) == "Target not found"
    assert asker(ONE, by=TWO).refusal(target, lun) == "Authentication failure"
    assert replace(asker(ONE), name=ANYBODY).refusal(target, lun) == "Target not found"
    first.ensure(image(version, LAB_2))
    assert asker(TWO).refusal(target, lun) == ""
    first.stop()
    following = make(secret_of)
    following.start([version])
    assert [asker(name).refusal(target, lun) for name in (ONE, TWO)] == ["", ""]
    assert not following.keep_up()
    following.stop()


def test_what_would_be_done_is_told_and_not_done(store: ImageStore, make: Make, tmp_path: Path) -> None:
    version = publish_whole(store)
    wanted = [image(version, LAB_1)]
    steps = list(make(secret_of).steps([version], wanted))
    assert steps[0] == f"add target {AUTHORITY}:debian.1.ext4 for {ONE} by secret"
    assert "secret-of" not in "".join(steps)
    assert not (tmp_path / "exports").exists()
    exporter = make()
    exporter.ensure(wanted[0])
    assert list(make().steps([version], wanted)) == []
    exporter.stop()


def test_what_cannot_be_served_is_told_and_leaves_the_rest_as_it_was(store: ImageStore, make: Make) -> None:
    one, two = publish_whole(store), publish_whole(store)
    exporter = make()
    target, lun = parts(exporter.ensure(image(one, LAB_1)))
    with pytest.raises(NetbootError, match="cannot mount"):
        exporter.ensure(image(two, LAB_1, RootFormat.EROFS))
    assert HERE.targets() == {target}
    assert HERE.refusal(target, lun) == ""
    exporter.stop()
