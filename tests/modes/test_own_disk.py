"""A disk of the client's own, on real boots: kept, made anew, and nobody else's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from netboot.config.paths import DataDir
from netboot.exports.secrets import chap_of
from netboot.images.store import ImageStore
from netboot.lab.client import QemuClient
from netboot.lab.lab import DEFAULT_IMAGE, Lab
from netboot.model.iscsi import initiator_name
from netboot.model.names import VersionRef
from netboot.model.root import Persistence, RootMode
from netboot.model.wishes import Wishes
from netboot.store import installation_secret, open_database
from tests.boot.conftest import MakeLab
from tests.boot.layered import STOP_S
from tests.boot.stories import UP_S, boot
from tests.iscsi_kit import Asker

pytestmark = [pytest.mark.walls, pytest.mark.timeout(2400)]

WISHES = Wishes(root=RootMode.ISCSI, persistent=Persistence.KEEP)


def root_file() -> Path:
    """Of the version that clients of the lab boot."""
    return ImageStore(DataDir.find(None, None).images).get(VersionRef(DEFAULT_IMAGE.image)).root.path


def assert_is_up_again(client: QemuClient) -> None:
    client.console.expect("login:", timeout_s=2 * UP_S)
    client.login(timeout_s=60)


def disks(lab: Lab) -> list[str]:
    return sorted(each.name for each in lab.state.glob("clients/*/disks/*.ext4"))


def assert_nobody_else_logs_in(lab: Lab, target: str) -> None:
    """By the names of both clients, which everybody knows, with the secret of the other, and with none."""
    engine = open_database(lab.state)
    seed = installation_secret(engine)
    engine.dispose()
    names = [initiator_name(each) for each in ("lab-01", "lab-02")]
    secrets = [chap_of(seed, each) for each in names]
    server = str(lab.plan.server.ip)
    for name in names:
        assert Asker(server=server, name=name).refusal(target, 1)
        stranger = Asker(server=server, name=name, user=secrets[1].user, secret=secrets[1].secret)
        assert stranger.refusal(target, 1) in ("Authentication failure", "Target not found")
    # So it was they who were refused, and not the way in which they asked.
    one = Asker(server=server, name=names[0], user=secrets[0].user, secret=secrets[0].secret)
    assert one.refusal(target, 1) == ""


def test_a_disk_is_kept_or_made_anew_and_nobody_elses(make_lab: MakeLab) -> None:
    before = hashlib.sha256(root_file().read_bytes()).hexdigest()
    lab = make_lab(wishes=WISHES)
    lab.start_daemon()
    seat, client = boot(lab)
    assert client.command("findmnt -n -o FSTYPE,OPTIONS / | grep -o '^ext4 *rw'").split() == ["ext4", "rw"]
    # What is flushed is on the server's disk: a kernel flushes only where it is told of a cache.
    disk = "$(basename $(findmnt -n -o SOURCE /))"
    assert client.command(f"cat /sys/block/{disk}/queue/write_cache /sys/block/{disk}/ro") == "write back\n0\n"
    client.command("echo kept >/root/file; sync /root/file /root")
    client.reset()  # as by a power cut
    assert_is_up_again(client)
    assert client.command("cat /root/file") == "kept\n"
    (target,) = client.command("cat /sys/class/iscsi_session/*/targetname").split()
    assert_nobody_else_logs_in(lab, target)

    lab.netboot("client", "set", seat.name, "--persistent", "reset")
    for _ in range(2):
        client.console.send("reboot")
        client.console.expect("reboot: Restarting system", timeout_s=STOP_S)
        assert_is_up_again(client)
        assert client.command("test -e /root/file || echo none") == "none\n"
        client.command("echo of this boot >/root/file; sync /root/file /root")
    # What it kept is there still, for when it shall keep it again.
    number = root_file().parent.name
    of_boots = [f"{DEFAULT_IMAGE.image}.{number}.{kind}.ext4" for kind in ("keep", "reset-1", "reset-2")]
    # That of the boot before goes once the server has noticed that it is over.
    assert disks(lab) in (of_boots, [of_boots[0], of_boots[2]])
    assert hashlib.sha256(root_file().read_bytes()).hexdigest() == before
