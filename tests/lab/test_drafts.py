"""Drafts with the real kernel: a disk over a version, shown by FUSE, mounted by loop, worked in and left in any way."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netboot.errors import Conflict, NetbootError, NotFound
from netboot.images.attach import is_mounted, mount, tree_of, withdraw
from netboot.images.chroot import enter
from netboot.images.draft import DamagedDraft, Draft, Drafts, locked
from netboot.images.store import ImageStore
from netboot.system.loop import find_loop
from netboot.system.mounts import mounts
from netboot.system.qcow import written
from tests.cli_kit import Cli, publish_image
from tests.images_kit import assert_whole, block, publish_delta
from tests.kit import make_version
from tests.small_system import small_root

pytestmark = pytest.mark.walls

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_root(tmp_path)


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "images")


@pytest.fixture
def draft(drafts: Drafts, root: Path) -> Draft:
    return drafts.open("one", make_version(), root, who="tester")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_is_changed_stays_in_its_draft(drafts: Drafts, draft: Draft, root: Path) -> None:
    before = digest(root)
    other = drafts.open("two", make_version(), root, who="tester")
    with tree_of(draft) as tree:
        (tree / "etc/motd").write_text("changed\n")
        assert [each.source for each in mounts() if each.target == tree] == [str(find_loop(draft.raw))]
    with tree_of(other) as tree:
        assert not (tree / "etc/motd").exists()
    with tree_of(draft) as tree:
        assert (tree / "etc/motd").read_text() == "changed\n"
    assert digest(root) == before
    assert [each.name for each in drafts.list()] == ["one", "two"]


def test_a_version_whose_root_is_not_there_gets_it_before_its_draft(tmp_path: Path) -> None:
    """As one that was committed and is not promoted yet."""
    cli = Cli(tmp_path)
    first = publish_image(tmp_path)
    second = publish_delta(ImageStore(tmp_path / "images"), first, {3: block("second")})
    assert not second.root.path.exists()
    cli.ok("image", "edit", "debian:2", "--name", "one")
    assert cli("image", "edit", "debian:2", "--name", "one").code == 4
    disk = Drafts(tmp_path / "images").get("one").disk
    subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "raw", disk, second.root.path], check=True)
    assert_whole(second)


def test_only_what_was_written_is_stored_and_what_was_deleted_is_not(draft: Draft) -> None:
    opened = draft.stored_bytes
    with tree_of(draft) as tree:
        (tree / "root/kept").write_bytes(os.urandom(2 * MIB))
        (tree / "root/gone").write_bytes(os.urandom(8 * MIB))
        os.sync()
        (tree / "root/gone").unlink()
    stored = [each for each in written(draft.disk) if not each.is_zero]
    assert 2 * MIB <= sum(each.length for each in stored) < 4 * MIB
    assert draft.stored_bytes - opened < 4 * MIB


def test_a_program_finds_a_system_around_it_and_leaves_nothing_of_it_behind(
    draft: Draft, capfd: pytest.CaptureFixture[str]
) -> None:
    with tree_of(draft) as tree:
        before = sorted(str(each) for each in tree.rglob("*"))
        assert enter(tree, ["/bin/sh", "-c", "echo $$; id -u; cat /etc/resolv.conf; : < /dev/urandom; exit 7"]) == 7
        assert enter(tree, ["/bin/sh", "-c", "/usr/sbin/policy-rc.d; echo $?"]) == 0
        assert sorted(str(each) for each in tree.rglob("*")) == before
    said = capfd.readouterr().out.splitlines()
    own = Path("/etc/resolv.conf").read_text().splitlines() if Path("/etc/resolv.conf").exists() else []
    # It is the first of its own processes.
    assert said == ["1", "0", *own, "101"]


def test_a_folder_for_everybody(draft: Draft) -> None:
    folder = mount(draft)
    (folder / "etc/motd").write_text("by hand\n")
    assert mount(draft) == folder
    with tree_of(draft) as tree:
        assert (tree / "etc/motd").read_text() == "by hand\n"
    with (folder / "etc/motd").open(), pytest.raises(Conflict, match="somebody uses"):
        withdraw(draft)
    withdraw(draft)
    assert not is_mounted(draft)
    with tree_of(draft) as tree:
        assert (tree / "etc/motd").read_text() == "by hand\n"


def test_one_works_on_a_draft_at_a_time(drafts: Drafts, draft: Draft, root: Path) -> None:
    with locked(draft):
        for work in (lambda: mount(draft), lambda: drafts.discard(draft)):
            with pytest.raises(Conflict, match="at work"):
                work()
    with pytest.raises(Conflict, match="already"):
        drafts.open("one", make_version(), root, who="tester")
    drafts.discard(draft)
    assert drafts.list() == ()
    with pytest.raises(NotFound, match="no draft one"):
        drafts.get("one")


WORKER = """
import sys
from pathlib import Path
from netboot.images.attach import tree_of
from netboot.images.draft import Drafts
with tree_of(Drafts(Path(sys.argv[1])).get("one")) as tree:
    for number in range(10**9):
        (tree / "root" / str(number % 50)).write_bytes(b"x" * 100_000)
        if number == 20:
            print("at work", flush=True)
"""


def test_kill_9_leaves_a_draft_that_can_be_used_and_nothing_else(tmp_path: Path, draft: Draft) -> None:
    argv = [sys.executable, "-c", WORKER, str(tmp_path / "images")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "at work\n"
        worker.send_signal(signal.SIGKILL)
    ends_at = time.monotonic() + 20
    while (_shows(draft) or find_loop(draft.raw)) and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert not _shows(draft)
    assert find_loop(draft.raw) is None
    with tree_of(draft) as tree:
        (tree / "root/after").write_text("usable\n")
    with tree_of(draft) as tree:
        assert (tree / "root/after").read_text() == "usable\n"


def test_a_draft_beyond_repair_says_what_to_do(draft: Draft) -> None:
    with tree_of(draft) as tree:
        (tree / "root/file").write_bytes(b"x" * MIB)
    # The superblocks, and the group descriptors behind them, as no power cut would leave them.
    for at in (0, 32768 * 4096):
        zeros = f"write -P 0xff {at} 64k"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", zeros, draft.disk], check=False, capture_output=True)
    with pytest.raises(NetbootError, match="damaged") as caught, tree_of(draft):
        pass
    assert caught.value.hint == "throw it away: netboot image discard one"


def _shows(draft: Draft) -> bool:
    """Whether a process still has the draft's disk open."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(draft.disk) in (folder / "cmdline").read_text():
                return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize("damage", [b"", b"\xff", None], ids=["empty", "no text", "missing"])
def test_a_draft_whose_note_is_damaged_can_be_thrown_away_also_while_it_is_shown(
    tmp_path: Path, drafts: Drafts, draft: Draft, damage: bytes | None
) -> None:
    tree = mount(draft)
    note = draft.folder / "draft.json"
    note.unlink() if damage is None else note.write_bytes(damage)
    for work in (drafts.list, lambda: drafts.get("one")):
        with pytest.raises(DamagedDraft) as caught:
            work()
        assert "netboot image discard one" in str(caught.value.hint)
    Cli(tmp_path).ok("image", "discard", "one", "--yes")
    assert not draft.folder.exists()
    assert all(each.target != tree for each in mounts())
