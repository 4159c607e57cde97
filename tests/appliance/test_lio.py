"""The kernel's own iSCSI target on a server with a distribution's kernel: a client boots from it, and libiscsi and QEMU
ask it over the wire.

One test, since the server takes the better part of a minute to boot in emulation.  What targetcli shows is what counts:
it is the tool that an admin of such a server has.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from netboot.model.root import RootFormat, RootMode
from tests.appliance.conftest import IscsiSite
from tests.appliance.disk import DATA, HOME, TOOLS
from tests.appliance.machine import Appliance
from tests.boot.layered import assert_overlay_over_read_only
from tests.iscsi_kit import ANYBODY, AUTHORITY, Asker, read, write

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

FOREIGN = "iqn.2003-01.org.example:foreign"
VERSION, LISTED = f"{AUTHORITY}:debian-minimal.1.ext4", f"{AUTHORITY}:listed"
INITIATOR = f"{AUTHORITY}:client.lab-02"
START_S = 180.0
CLIENT_UP_S = 300.0
HERE = Asker(server="10.9.0.1")
ONE = Asker(server="10.9.0.1", name=f"{AUTHORITY}:client.one", user="one", secret="secret-of-one")
TWO = Asker(server="10.9.0.1", name=f"{AUTHORITY}:client.two", user="two", secret="secret-of-two")
TARGETS = f"PYTHONPATH={HOME}:{HOME}/.venv/lib python3 {TOOLS}/targets.py /var/listed"
MIB = 1 << 20


def test_versions_are_targets_of_the_kernel(iscsi_site: IscsiSite, tmp_path: Path) -> None:
    server, version = iscsi_site.server, iscsi_site.version
    server.run("truncate --size 8M /var/foreign && targetcli /backstores/fileio create foreign /var/foreign")
    server.run(
        f"targetcli /iscsi create {FOREIGN} && targetcli /iscsi/{FOREIGN}/tpg1/luns create /backstores/fileio/foreign"
    )
    foreign = shown(server, f"/iscsi/{FOREIGN}")

    server.run("systemctl start netboot", timeout_s=START_S)
    assert "images by" in server.run("journalctl --unit netboot --no-pager --lines 20")
    assert_it_is_shown(server)
    assert HERE.sha256(VERSION, 0, tmp_path / "copy") == hashlib.sha256(version.root.path.read_bytes()).hexdigest()
    asserted, wrong = HERE.try_to_write(VERSION, 0)
    assert asserted > 10
    assert wrong == []

    client = iscsi_site.client
    client.start()
    client.login(timeout_s=CLIENT_UP_S)
    assert_overlay_over_read_only(client, RootMode.ISCSI, RootFormat.EXT4, verified=False)
    assert INITIATOR in sessions(server)
    client.stop()

    with HERE.logged_in(VERSION, 0) as shell:
        before = state_of(server)
        kill_daemon(server)
        assert state_of(server) == before
        assert "read 4096" in read(shell, 16 * MIB)

    assert_only_the_listed_may_log_in(server)

    server.run("targetcli saveconfig")
    assert VERSION in server.run("cat /etc/rtslib-fb-target/saveconfig.json")
    server.run(f"targetcli /iscsi delete {VERSION}")
    wait_until(lambda: VERSION in shown(server, "/iscsi"), "given back what an admin deleted")
    assert HERE.refusal(VERSION, 0) == ""

    wait_until(lambda: not sessions(server), "forgotten the client that was switched off")
    server.run("systemctl stop netboot")
    assert AUTHORITY not in shown(server, "/")
    assert shown(server, f"/iscsi/{FOREIGN}") == foreign
    assert DATA.as_posix() not in server.run("losetup --list --noheadings --output BACK-FILE")


def assert_it_is_shown(server: Appliance) -> None:
    """A target for everybody, of disks that cannot be written, at the address that others' targets leave."""
    shown = server.run(f"targetcli /iscsi/{VERSION}/tpg1 ls")
    assert "gen-acls, no-auth" in shown
    assert "0.0.0.0:3260" in shown
    disks = [line for line in server.run("targetcli /backstores/block ls").splitlines() if "debian-minimal" in line]
    assert len(disks) == 2
    assert all(" ro " in line for line in disks), disks


def assert_only_the_listed_may_log_in(server: Appliance) -> None:
    server.run("mkdir /var/listed && truncate --size 8M /var/listed/disk /var/listed/own")
    assert server.run(f"{TARGETS} one=one:{ONE.secret} two=two:{TWO.secret}").startswith(f"add target {LISTED}")
    assert [each.refusal(LISTED, 0) for each in (ONE, TWO)] == ["", ""]
    assert replace(ONE, secret=TWO.secret).refusal(LISTED, 0) == "Authentication failure"
    assert replace(ONE, user="", secret="").refusal(LISTED, 0) == "Authentication failure"
    assert replace(ONE, name=ANYBODY).refusal(LISTED, 0) == "Authorization failure"
    assert HERE.targets() == {VERSION, FOREIGN}

    with ONE.logged_in(LISTED, 1, writable=True) as shell:
        write(shell, MIB, 0x42)
    assert server.run(f"od -An -v -t x1 -j {MIB - 1} -N 2 /var/listed/own").split() == ["00", "42"]

    assert f"refuse {TWO.name}" in server.run(f"{TARGETS} one=one:another-secret")
    assert ONE.refusal(LISTED, 0) == "Authentication failure"
    assert replace(ONE, secret="another-secret").refusal(LISTED, 0) == ""
    assert TWO.refusal(LISTED, 0) == "Authorization failure"

    # A session over whose end nothing is taken away.
    with replace(ONE, secret="another-secret").logged_in(LISTED, 0) as shell:
        assert server.run(TARGETS) == f"keep {LISTED}, since clients run from it\n"
        kept = f"{TARGETS} two=two:{TWO.secret}"
        assert f"keep {ONE.name} at {LISTED}, since clients run from it" in server.run(kept)
        assert "read 4096" in read(shell, MIB)
    assert server.run(kept) == f"change target {LISTED}\n  refuse {ONE.name}\n"
    assert server.run(TARGETS) == f"remove target {LISTED}\n"


def shown(server: Appliance, path: str) -> str:
    return server.run(f"targetcli {path} ls")


def sessions(server: Appliance) -> str:
    """The initiators that are logged in to what is ours."""
    logged_in = server.run(f"cat /sys/kernel/config/target/iscsi/{AUTHORITY}*/tpgt_1/dynamic_sessions")
    return logged_in.strip("\0\n")


def state_of(server: Appliance) -> str:
    """All that is ours, by inode: another number if it was made anew.  Times tell nothing: reading changes them."""
    made = "find /sys/kernel/config/target -path '*netboot*' -type d -printf '%p %i\\n' | sort"
    return server.run(f"{made}; losetup --list --noheadings --output NAME,BACK-FILE")


def kill_daemon(server: Appliance) -> None:
    """kill -9; the unit of docs/service.md has it started again."""
    killed = main_pid(server)
    server.run("systemctl kill --signal KILL --kill-who main netboot")
    is_back = "systemctl is-active netboot || true"
    wait_until(lambda: server.run(is_back) == "active\n" and main_pid(server) != killed, "started the daemon again")


def main_pid(server: Appliance) -> str:
    return server.run("systemctl show --property MainPID --value netboot")


def wait_until(fact: Callable[[], bool], what: str, *, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < deadline, f"the server has not {what} within {limit_s:g} s"
        time.sleep(1)
