"""The client's shell core: temporary layers, and the client's own files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.initramfs_kit import Sh, calls, program, sh

__all__ = ["sh"]


def message(folder: Path) -> str:
    return (folder / "run/mount.log").read_text().splitlines()[-1]


# -- the temporary layer


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4096", 4096), ("2k", 2048), ("300m", 300 << 20), ("2G", 2 << 30), ("50%", 500 << 10), ("150%", 1500 << 10)],
)
def test_sizes_are_bytes(sh: Sh, tmp_path: Path, size: str, expected: int) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:        1000 kB\nMemFree:         10 kB\n")
    assert sh(f"nb_size_bytes {size}", NB_MEMINFO=str(tmp_path / "meminfo")).stdout == f"{expected}\n"


@pytest.mark.parametrize("size", ["", "m", "-1", "1t", "0x10", "1.5g"])
def test_what_is_no_size_is_refused(sh: Sh, size: str) -> None:
    assert sh(f"nb_size_bytes '{size}'").returncode == 1


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ("nbd:x", "the temporary layer nbd:x: it is neither a size nor zram:SIZE nor disk:LABEL nor crypt:LABEL"),
        ("zram:", "the temporary layer zram:: it is neither a size nor zram:SIZE nor disk:LABEL nor crypt:LABEL"),
        ("zram:x", "the temporary layer zram:x: 'x' is no size"),
        ("disk:scratch", "the temporary layer disk:scratch: no local disk has the label scratch"),
        ("7", "the temporary layer 7: no memory"),
    ],
)
def test_a_layer_that_cannot_be_is_told_with_the_reason(sh: Sh, tmp_path: Path, upper: str, expected: str) -> None:
    (tmp_path / "cmdline").write_text(f"netboot.upper={upper}\n")
    for name in ("busybox", "umount"):
        program(tmp_path, name, "exit 0")
    program(tmp_path, "mount", "echo 'no memory' >&2; exit 1")
    assert sh("nb_overlay /root", NB_DISK_WAIT="0").returncode == 1
    assert message(tmp_path) == expected


def disk(folder: Path, name: str, place: str, *, read_only: int = 0, sectors: int = 1 << 20) -> None:
    """A block device as it is in sysfs."""
    real = folder / "sys/devices" / place / "block" / name
    real.mkdir(parents=True)
    (real / "ro").write_text(f"{read_only}\n")
    (real / "size").write_text(f"{sectors}\n")
    (folder / "sys/class/block").mkdir(parents=True, exist_ok=True)
    (folder / "sys/class/block" / name).symlink_to(real)


BLKID = """\
echo '/dev/sda1: LABEL="scratch" UUID="1" TYPE="ext4"'
echo '/dev/sda2: LABEL="scratch2" UUID="2" TYPE="ext4"'
echo '/dev/loop0: LABEL="scratch" UUID="3" TYPE="ext4"'
echo '/dev/sdb: LABEL="scratch" UUID="4" TYPE="ext4"'
echo '/dev/sdc: LABEL="scratch" UUID="5" TYPE="ext4"'
"""


def test_only_a_local_disk_that_can_be_written_is_wiped(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("netboot.upper=disk:scratch\n")
    for name in ("mount", "modprobe", "mke2fs"):
        program(tmp_path, name, "exit 0")
    program(tmp_path, "busybox", BLKID)
    disk(tmp_path, "sda1", "pci0/ata1")
    disk(tmp_path, "sda2", "pci0/ata1")
    disk(tmp_path, "loop0", "virtual")
    disk(tmp_path, "sdb", "platform/host6/session1")
    disk(tmp_path, "sdc", "pci0/usb1", read_only=1)
    assert sh("nb_overlay /root").returncode == 0
    wiped = [call.split()[-1] for call in calls(tmp_path) if call.startswith("mke2fs")]
    assert wiped == ["/dev/sda1"]


def test_of_two_disks_with_the_label_none_is_wiped(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("netboot.upper=disk:scratch\n")
    for name in ("umount", "mke2fs"):
        program(tmp_path, name, "exit 0")
    program(tmp_path, "busybox", BLKID)
    disk(tmp_path, "sda1", "pci0/ata1")
    disk(tmp_path, "sdb", "pci0/ata2")
    for other in ("loop0", "sdc", "sda2"):
        disk(tmp_path, other, "virtual")
    assert sh("nb_overlay /root").returncode == 1
    assert (
        message(tmp_path)
        == "the temporary layer disk:scratch: several disks have the label scratch: /dev/sda1 /dev/sdb "
    )
    assert not [call for call in calls(tmp_path) if call.startswith("mke2fs")]


def test_the_key_of_a_layer_is_new_each_time_and_on_no_command_line(sh: Sh, tmp_path: Path) -> None:
    program(tmp_path, "dmsetup", f"case $1 in create) cat >>{tmp_path}/tables ;; info) echo 5 ;; esac")
    for name in ("mount", "modprobe", "mke2fs"):
        program(tmp_path, name, "exit 0")
    disk(tmp_path, "sda1", "pci0/ata1", sectors=100_000)
    for _ in range(2):
        assert sh("nb_upper_crypt /dev/sda1 scratch").returncode == 0
    tables = [text.split() for text in (tmp_path / "tables").read_text().splitlines()]
    assert [words[:4] + words[5:] for words in tables] == [
        ["0", "95904", "crypt", "aes-xts-plain64", "0", "/dev/sda1", "4096"]
    ] * 2
    keys = [words[4] for words in tables]
    assert keys[0] != keys[1]
    assert all(len(key) == 128 for key in keys)
    said = "\n".join(calls(tmp_path))
    assert keys[0] not in said
    # What keeps the label ends where the encrypted part begins.
    assert "mke2fs -q -F -t ext2 -L scratch /dev/sda1 2048" in said


# -- the client's own files


def archive(folder: Path) -> Path:
    """What the server would send."""
    tree = folder / "sent"
    (tree / "files/etc/app").mkdir(parents=True)
    (tree / "files/etc").chmod(0o700)
    (tree / "files/etc/app").chmod(0o750)
    (tree / "files/etc/app/conf").write_text("own\n")
    (tree / "files/etc/app/conf").chmod(0o640)
    (tree / "files/etc/localtime").symlink_to("/usr/share/zoneinfo/UTC")
    (tree / "files/etc/with blank").write_text("x")
    (tree / "credentials").mkdir()
    (tree / "credentials/token").write_text("secret")
    (tree / "persist").write_text("10.9.0.1:/kept/lab-01\n/var/lib/app\n/etc/one\n")
    subprocess.run(["tar", "-C", tree, "-cf", folder / "data.tar", "."], check=True)
    return folder / "data.tar"


def fetching(folder: Path, source: Path) -> None:
    """A busybox whose wget copies a file, and that is the real one else."""
    real = shutil.which("busybox")
    wget = f'*wget*) shift 2; [ "$1" = busybox ] && shift; cp {source} "$4" || {{ echo "wget: 404" >&2; exit 1; }} ;;'
    program(folder, "busybox", f'case "$*" in {wget} *) exec {real} "$@" ;; esac')


def test_what_was_sent_lies_where_it_belongs(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("netboot.data=http://10.9.0.1/data\n")
    fetching(tmp_path, archive(tmp_path))
    for name in ("mount.nfs", "mount", "sync"):
        program(tmp_path, name, "exit 0")
    root, run = tmp_path / "root", tmp_path / "run"
    (root / "etc").mkdir(parents=True)
    (root / "etc").chmod(0o755)
    (root / "etc/one").write_text("the image's\n")
    (root / "elsewhere").write_text("mine")
    (root / "etc/localtime").symlink_to("../elsewhere")
    (tmp_path / "info").write_text("")
    names = {"NB_CREDENTIALS": str(tmp_path / "store"), "NB_MOUNTINFO": str(tmp_path / "info")}
    done = sh(f"nb_fetch_data && stat -c %a $NB_RUN/data && nb_place_data {root}", **names)
    assert (done.returncode, done.stdout) == (0, "700\n"), done.stderr

    assert (root / "etc/app/conf").read_text() == "own\n"
    assert (root / "etc/with blank").exists()
    modes = [(root / name).stat().st_mode & 0o777 for name in ("etc", "etc/app", "etc/app/conf")]
    assert modes == [0o755, 0o750, 0o640]
    assert (root / "etc/localtime").readlink() == Path("/usr/share/zoneinfo/UTC")
    assert (root / "elsewhere").read_text() == "mine"
    assert (tmp_path / "store/token").read_text() == "secret"
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700

    # What is kept begins with the image's own, and lies over it.
    assert (run / "persist/etc/one").read_text() == "the image's\n"
    assert (run / "persist/var/lib/app").is_dir()
    assert [call for call in calls(tmp_path) if call.startswith("mount")] == [
        f"mount.nfs 10.9.0.1:/kept/lab-01 {run}/persist -n -o hard,nolock,retry=0,rw",
        f"mount -o bind {run}/persist/var/lib/app {root}/var/lib/app",
        f"mount -o bind {run}/persist/etc/one {root}/etc/one",
    ]
    assert not (run / "data").exists()


def test_what_is_kept_is_not_replaced_by_the_image(sh: Sh, tmp_path: Path) -> None:
    for name in ("mount", "sync"):
        program(tmp_path, name, "exit 0")
    for place, text in (("run/persist/etc/one", "kept"), ("root/etc/one", "the image's"), ("run/persist/.half", "old")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    assert sh(f"nb_keep /etc/one {tmp_path}/root").returncode == 0
    assert (tmp_path / "run/persist/etc/one").read_text() == "kept"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "the client's own files: wget: 404"), (b"no tar at all", "the client's own files are no archive: ")],
)
def test_files_that_do_not_come_are_told(sh: Sh, tmp_path: Path, content: bytes | None, expected: str) -> None:
    (tmp_path / "cmdline").write_text("netboot.data=http://10.9.0.1/data\n")
    if content:
        (tmp_path / "sent").write_bytes(content)
    fetching(tmp_path, tmp_path / "sent")
    assert sh("nb_fetch_data").returncode == 1
    assert message(tmp_path).startswith(expected)
