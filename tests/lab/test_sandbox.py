"""What an image's own programs can reach while they run in it: the image, and nothing of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.system.beneath import exists_beneath, names_beneath, read_beneath
from netboot.system.commands import CommandFailed
from netboot.system.sandbox import call_in, run_in, stream_in
from tests.tree_kit import add_shell


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "tree"
    place.mkdir()
    add_shell(place)
    (place / "tmp").mkdir()
    return place


def say(tree: Path, script: str) -> str:
    return run_in(tree, ["sh", "-c", script], check=False).stdout


def test_a_program_sees_the_tree_as_everything(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    assert say(tree, "cat /../../outside ../outside; ls /tmp /bin/busybox; echo $PATH") == (
        "/bin/busybox\n\n/tmp:\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )


def test_a_device_node_of_the_image_is_no_device(tree: Path) -> None:
    os.mknod(tree / "null", 0o020666, os.makedev(1, 3))
    assert say(tree, "cat /null || echo refused; cat /dev/null && echo works") == "refused\nworks\n"


@pytest.mark.parametrize(
    "forbidden",
    ["mknod /tmp/disk b 8 0", "mount -t tmpfs none /tmp", "umount /proc", "hostname mine",
     "echo x >/proc/sys/kernel/core_pattern", "echo b >/proc/sysrq-trigger", "touch /sys/x"],
)  # fmt: skip
def test_root_of_the_image_is_not_root_of_the_machine(tree: Path, forbidden: str) -> None:
    assert say(tree, f"({forbidden}) 2>/dev/null && echo done || echo refused; id -u") == "refused\n0\n"


def test_a_program_has_no_network_and_no_process_of_ours_unless_asked(tree: Path) -> None:
    assert say(tree, "ls /sys/class/net; echo $$; ls -d /proc/[0-9]*").split()[:2] == ["lo", "1"]
    own = sorted(each.name for each in Path("/sys/class/net").iterdir())
    asked = list(stream_in(tree, ["sh", "-c", "ls -1 /sys/class/net; cat /etc/resolv.conf"], network=True))
    assert asked[: len(own)] == own
    assert asked[len(own) :] == Path("/etc/resolv.conf").read_text().splitlines()


def test_how_a_program_ended_is_told(tree: Path) -> None:
    with pytest.raises(CommandFailed, match="exit status 7"):
        run_in(tree, ["sh", "-c", "exit 7"])
    with pytest.raises(CommandFailed, match="the image has no program nothing"):
        run_in(tree, ["nothing"])


def test_a_function_of_ours_stays_in_the_tree_whatever_its_links_say(tree: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").touch()
    (tree / "var").symlink_to(victim)
    (tree / "out").symlink_to("../" * 30 + str(victim).lstrip("/"))

    def remove(root: Path) -> None:
        for link in ("var", "out"):
            (root / link / "kept").unlink(missing_ok=True)
        (root / "tmp/made").write_text("made")

    call_in(tree, remove)
    assert (victim / "kept").exists()
    assert (tree / "tmp/made").read_text() == "made"


def test_errors_of_such_a_function_are_ours(tree: Path) -> None:
    def fail(root: Path) -> None:
        raise NetbootError("no", hint="yes")

    with pytest.raises(NetbootError) as caught:
        call_in(tree, fail)
    assert (caught.value.message, caught.value.hint) == ("no", "yes")
    with pytest.raises(NetbootError, match="ZeroDivisionError"):
        call_in(tree, lambda root: 1 // 0)


def test_names_are_read_beneath_the_tree(tree: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("own")
    (tree / "link").symlink_to("/etc/passwd")
    (tree / "up").symlink_to("../../../../../../etc")
    with read_beneath(tree, "link") as one, read_beneath(tree, "up/passwd") as other:
        assert (one.read(), other.read()) == (b"own", b"own")
    assert names_beneath(tree, "up") == ("passwd",)
    assert names_beneath(tree, "none") == names_beneath(tree, "link") == ()
    assert exists_beneath(tree, "up/passwd")
    assert not exists_beneath(tree, "up/hostname")
