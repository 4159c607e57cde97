"""The real tgtd, asked by initiators that nobody here wrote.

Two networks lie on the loopback link: whoever asks at a server's address comes from that address.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from random import Random

import pytest

from netboot.errors import Unavailable
from netboot.exports.iscsi_tgt import Tgt
from netboot.exports.process import listens
from netboot.exports.targets import PORT, Chap, Initiator, Lun, Target, make_plan
from netboot.system.commands import run
from tests.iscsi_kit import ANYBODY, AUTHORITY, Asker, read
from tests.kit import wait_for_file

pytestmark = pytest.mark.walls

# Longer than the name of a socket may be.
RUN = Path("/run") / ("tgt" * 40)
LAB, OTHER = IPv4Network("10.9.0.0/24"), IPv4Network("10.8.0.0/24")
HERE, ELSEWHERE = Asker(server="10.9.0.1"), Asker(server="10.8.0.1")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _links() -> None:
    run(["ip", "link", "set", "lo", "up"])
    for asker in (HERE, ELSEWHERE):
        run(["ip", "address", "add", f"{asker.server}/32", "dev", "lo"])


@pytest.fixture
def tgt() -> Iterator[Tgt]:
    server = Tgt(RUN)
    server.prepare()
    yield server
    server.stop()


def make_target(folder: Path, number: int, *initiators: Initiator) -> Target:
    """A version and its tree, of other bytes for each number."""
    files = [folder / f"{number}.{name}" for name in ("root", "tree")]
    for file, size in zip(files, (8 * MIB, MIB), strict=True):
        file.write_bytes(Random(f"{file.name}").randbytes(size))
    return Target(
        name=f"{AUTHORITY}:debian.{number}.ext4",
        luns=tuple(Lun(number=index, path=file) for index, file in enumerate(files, start=Tgt.first_lun)),
        networks=(LAB,),
        initiators=initiators,
    )


def client(number: int, secret: str) -> Initiator:
    return Initiator(name=f"{AUTHORITY}:client.lab-{number}", chap=Chap(user=f"lab-{number}", secret=secret))


def asker(initiator: Initiator, *, secret: str | None = None) -> Asker:
    """The client, who believes in another secret if one is given."""
    assert initiator.chap
    return replace(HERE, name=initiator.name, user=initiator.chap.user, secret=secret or initiator.chap.secret)


def carry_out(tgt: Tgt, *desired: Target) -> None:
    tgt.carry_out(make_plan(desired, tgt.observe()))
    assert not make_plan(desired, tgt.observe())


def pid() -> int:
    return int((RUN / "tgtd.pid").read_text())


def test_clients_of_our_networks_read_every_bit_and_write_none(tgt: Tgt, tmp_path: Path) -> None:
    target = make_target(tmp_path, 1)
    carry_out(tgt, target)
    for lun in target.luns:
        assert HERE.sha256(target.name, lun.number, tmp_path / "copy") == sha256(lun.path)
    before = [(each.path.stat().st_mtime_ns, sha256(each.path)) for each in target.luns]
    asserted, wrong = HERE.try_to_write(target.name, 1)
    assert asserted > 10
    # All are refused.  Two, which tgtd does not know at all, for that reason rather than for the write protection.
    assert wrong == ["WRITESAME10", "WRITESAME16"]
    assert [(each.path.stat().st_mtime_ns, sha256(each.path)) for each in target.luns] == before

    assert HERE.targets() == {target.name}
    assert ELSEWHERE.targets() == set()
    assert ELSEWHERE.refusal(target.name, 1) == "Target not found"
    carry_out(tgt, replace(target, networks=(OTHER,)))
    assert HERE.refusal(target.name, 1) == "Target not found"
    assert ELSEWHERE.refusal(target.name, 1) == ""


def test_a_client_must_have_its_name_and_its_secret(tgt: Tgt, tmp_path: Path) -> None:
    one, two, three = (client(number, f"secret-of-client-{number}") for number in (1, 2, 3))
    target, other = make_target(tmp_path, 1, one, two, three), make_target(tmp_path, 2, three, one)
    carry_out(tgt, target, other)
    for each in (one, two, three):
        assert asker(each).refusal(target.name, 1) == ""
    with asker(two).logged_in(target.name, 2) as shell:
        assert "read 4096" in read(shell, 4096)
    assert asker(one, secret="secret-of-nobody").refusal(target.name, 1) == "Authentication failure"
    assert replace(HERE, name=one.name).refusal(target.name, 1) == "Authentication failure"
    assert replace(asker(one), name=ANYBODY).refusal(target.name, 1) == "Target not found"
    assert asker(two).refusal(other.name, 1) == "Target not found"

    # One goes, which is first of one target's accounts and last of the other's; and one has another secret.
    another = client(3, "another-secret-of-it")
    target, other = replace(target, initiators=(two, another)), replace(other, initiators=(another,))
    carry_out(tgt, target, other)
    assert asker(one).refusal(target.name, 1) == "Target not found"
    assert asker(two).refusal(target.name, 1) == ""
    for name in (target.name, other.name):
        assert asker(another).refusal(name, 1) == ""
        assert asker(three).refusal(name, 1) == "Authentication failure"

    # Nor does a name do once nobody is listed but by it.
    nobody = replace(target, initiators=(replace(two, chap=None),))
    carry_out(tgt, nobody, other)
    assert replace(HERE, name=two.name).refusal(target.name, 1) == ""
    assert HERE.refusal(target.name, 1) == "Target not found"


def test_no_secret_is_in_a_process_list_or_a_log(tgt: Tgt, tmp_path: Path) -> None:
    secret = "secret-of-client-1"
    target = make_target(tmp_path, 1, client(1, secret))
    before = {each.name for each in Path("/proc").glob("[0-9]*")}
    carry_out(tgt, target)
    assert asker(client(1, secret), secret="secret-of-nobody").refusal(target.name, 1)
    started = {each for each in Path("/proc").glob("[0-9]*") if each.name not in before}
    assert {(each / "comm").read_text() for each in started} == {"tgtd\n"}
    for process in started:
        assert secret not in (process / "cmdline").read_text() + (process / "environ").read_text(errors="replace")
    said = (RUN / "tgtd.log").read_text()
    assert "authentication of" in said
    assert secret not in said


def test_after_kill_9_the_server_is_taken_over_and_its_clients_notice_nothing(tmp_path: Path) -> None:
    target = make_target(tmp_path, 1, client(1, "secret-of-client-1"))
    child = os.fork()
    if child == 0:
        carry_out(Tgt(RUN), target, make_target(tmp_path, 2))
        # As if killed before the pid was written.
        (RUN / "tgtd.pid").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with HERE.logged_in(f"{AUTHORITY}:debian.2.ext4", 1) as shell:
        tgt = Tgt(RUN)
        tgt.prepare()
        assert tgt.keep_up() is False
        (desired, gone) = target, make_target(tmp_path, 2)
        plan = make_plan([desired], tgt.observe())
        assert plan.kept == (gone.name,)
        carry_out(tgt, desired)
        assert "read 4096" in read(shell, MIB)
        assert {each.target.name: each.users for each in tgt.observe()} == {
            desired.name: frozenset(),
            gone.name: frozenset({ANYBODY}),
        }
    assert asker(desired.initiators[0]).refusal(desired.name, 1) == ""
    assert asker(desired.initiators[0], secret="secret-of-nobody").refusal(desired.name, 1)
    wait_until_unused(tgt, gone.name)
    carry_out(tgt, desired)
    assert [each.target.name for each in tgt.observe()] == [desired.name]
    tgt.stop()
    assert not listens(PORT)


def test_a_server_that_died_gets_all_back(tgt: Tgt, tmp_path: Path) -> None:
    targets = [make_target(tmp_path, 1, client(1, "secret-of-client-1")), make_target(tmp_path, 2)]
    carry_out(tgt, *targets)
    assert tgt.keep_up() is False
    os.kill(pid(), signal.SIGKILL)
    time.sleep(0.5)
    assert tgt.observe() == []
    assert tgt.keep_up() is True
    carry_out(tgt, *targets)
    assert asker(targets[0].initiators[0]).refusal(targets[0].name, 1) == ""
    assert HERE.sha256(targets[1].name, 1, tmp_path / "copy") == sha256(targets[1].luns[0].path)


def test_an_admins_tgtd_is_not_touched(tgt: Tgt, tmp_path: Path) -> None:
    argv = ["tgtd", "-f", "-C", "0", "--iscsi", "portal=10.8.0.1:3261"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as theirs:
        wait_for_file(Path("/run/tgtd/socket.0"))
        new = ["--lld", "iscsi", "--mode", "target", "--op", "new", "--tid", "1"]
        run(["tgtadm", *new, "--targetname", f"{AUTHORITY}:debian.9.ext4"])
        shown = run(["tgtadm", "--mode", "target", "--op", "show"]).stdout
        carry_out(tgt, make_target(tmp_path, 1))
        carry_out(tgt)
        tgt.stop()
        assert run(["tgtadm", "--mode", "target", "--op", "show"]).stdout == shown
        theirs.kill()


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("0.0.0.0", PORT)), pytest.raises(Unavailable) as caught:
        Tgt(RUN).prepare()
    assert caught.value.message == "TCP port 3260 is taken, so iSCSI cannot be served"
    assert "disable --now tgt" in (caught.value.hint or "")


def test_a_file_that_is_not_there_is_told_and_leaves_no_half_target(tgt: Tgt, tmp_path: Path) -> None:
    target = make_target(tmp_path, 1)
    target.luns[1].path.unlink()
    with pytest.raises(Unavailable, match="is not there"):
        carry_out(tgt, target)
    assert HERE.targets() == set()
    carry_out(tgt, make_target(tmp_path, 1))
    assert HERE.refusal(target.name, 2) == ""


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def wait_until_unused(tgt: Tgt, name: str) -> None:
    deadline = time.monotonic() + 30
    while any(each.users for each in tgt.observe([name])):
        assert time.monotonic() < deadline, f"{name} is still used"
        time.sleep(0.1)
