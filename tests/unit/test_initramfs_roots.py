"""The client's shell core: roots that are files and disks, and the check of their blocks."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from netboot.images.verity import Superblock
from tests.initramfs_kit import Sh, calls, program, sh

__all__ = ["sh"]

HASH = "5a" * 32
IQN = "iqn.2018-05.arpa.home.netboot:debian.1"


FILE = "nfs-file:10.9.0.1:/srv/root.ext4"
VERITY = f"netboot.fs=ext4 netboot.verity={HASH}"


def line(folder: Path, words: str) -> None:
    (folder / "cmdline").write_text(f"boot=netboot {words}\n")


def machine(folder: Path, **bodies: str) -> None:
    """Programs that work, or as said: their names with _ for a dot."""
    for name in ("modprobe", "mount", "mount_nfs", "umount", "dmsetup", "iscsistart", "sleep"):
        program(folder, name.replace("_", "."), bodies.get(name, "exit 0"))
    program(
        folder,
        "busybox",
        f"""case "$1 $2" in
        'losetup -f') echo "/dev/loop$(grep -c 'losetup -r' {folder}/calls)" ;;
        timeout*)
            until [ "$1" = mount.nfs ] || [ "$1" = iscsistart ]; do shift; done
            exec "$@"
            ;;
        esac""",
    )


def message(folder: Path) -> str:
    return (folder / "run/mount.log").read_text().splitlines()[-1]


# -- a file over NFS


def test_the_file_is_mounted_from_a_loop_device(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, "netboot.root=nfs-file:10.9.0.1:/srv/debian/1.erofs/root.erofs netboot.fs=erofs")
    run = tmp_path / "run"
    machine(tmp_path, mount_nfs=f"touch {run}/export/root.erofs")
    assert sh("nb_mount_lower").returncode == 0
    done = calls(tmp_path)
    assert (
        f"mount.nfs 10.9.0.1:/srv/debian/1.erofs {run}/export -n -o hard,nolock,retry=0,ro,nocto,actimeo=3600" in done
    )
    assert f"busybox losetup -r /dev/loop0 {run}/export/root.erofs" in done
    assert done[-1] == f"mount -t erofs -o ro /dev/loop0 {run}/lower"


@pytest.mark.parametrize(
    ("words", "files", "expected"),
    [
        ("netboot.fs=ext4", "", "no such file: 10.9.0.1:/srv/root.ext4"),
        ("netboot.fs=vfat", "root.ext4", "netboot.fs='vfat' on the kernel line is not ext4, erofs or squashfs"),
        (VERITY, "root.ext4", "verity: no such file: 10.9.0.1:/srv/root.ext4.verity"),
        (f"{VERITY} netboot.tree=t", "root.ext4", "verity: no such file: 10.9.0.1:/srv/t"),
        (f"{VERITY} netboot.tree=t", "root.ext4 t", f"verity: {FILE} has a hash tree that cannot be read"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_and_nothing_is_left(
    sh: Sh, tmp_path: Path, words: str, files: str, expected: str
) -> None:
    line(tmp_path, f"netboot.root={FILE} {words}")
    export = tmp_path / "run/export"
    machine(tmp_path, mount_nfs=f"cd {export}; for each in {files}; do echo x >$each; done")
    assert sh("nb_mount_lower").returncode == 1
    assert message(tmp_path) == expected
    done = calls(tmp_path)
    attached = {call.split()[3] for call in done if "losetup -r" in call}
    assert attached == {call.split()[3] for call in done if "losetup -d" in call}
    assert done[-1] == f"umount {export}"


def test_read_ahead_is_bounded_where_the_export_is_mounted(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "info").write_text("33 1 0:44 / /run/other rw - nfs4 x rw\n34 1 0:45 / /run/export rw - nfs4 x rw\n")
    for number in ("0:44", "0:45"):
        (tmp_path / f"sys/class/bdi/{number}").mkdir(parents=True)
    sh("nb_read_ahead /run/export", NB_MOUNTINFO=str(tmp_path / "info"))
    assert (tmp_path / "sys/class/bdi/0:45/read_ahead_kb").read_text() == "128\n"
    assert not (tmp_path / "sys/class/bdi/0:44/read_ahead_kb").exists()


# -- verity


@pytest.mark.parametrize("salt", [b"", b"\x00\x01\xff" * 10, bytes(range(256))])
def test_a_hash_tree_tells_its_blocks_and_salt(sh: Sh, tmp_path: Path, salt: bytes) -> None:
    super_ = Superblock(data_blocks=5_000_000_000, salt=salt, uuid=uuid4())
    (tmp_path / "tree").write_bytes(super_.encode() + bytes(4096))
    done = sh(f"nb_verity_superblock {tmp_path}/tree")
    assert done.stdout == f"5000000000 {salt.hex() or '-'}\n"


def test_a_tree_that_veritysetup_made_is_understood(sh: Sh, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(4096 * 3))
    words: list[str | Path] = ["veritysetup", "format", "--salt", "abcd", tmp_path / "data", tmp_path / "tree"]
    subprocess.run(words, check=True, capture_output=True)
    assert sh(f"nb_verity_superblock {tmp_path}/tree").stdout == "3 abcd\n"
    subprocess.run([*words, "--hash", "sha512"], check=True, capture_output=True)
    assert sh(f"nb_verity_superblock {tmp_path}/tree").returncode == 1


@pytest.mark.parametrize("content", [b"", b"verity", bytes(5000)])
def test_what_is_no_hash_tree_is_refused(sh: Sh, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tree").write_bytes(content)
    assert sh(f"nb_verity_superblock {tmp_path}/tree").returncode == 1


DAMAGED = 'case $1 in info) echo 3 ;; status) echo "0 8 verity C" ;; create) cat >/dev/null ;; esac'


def test_a_file_system_that_does_not_fit_its_hash_is_told_as_that(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, f"netboot.root=nfs-file:10.9.0.1:/srv/root.ext4 netboot.fs=ext4 netboot.verity={HASH}")
    (tmp_path / "tree").write_bytes(Superblock(data_blocks=7, salt=b"", uuid=uuid4()).encode() + bytes(4096))
    table = DAMAGED.replace("cat >/dev/null", f"cat >{tmp_path}/table")
    machine(tmp_path, dmsetup=table, mount="echo 'Input/output error' >&2; exit 255")
    done = sh(f"nb_root=x; nb_data=/dev/loop0; nb_tree={tmp_path}/tree; nb_mount_blocks /lower ro")
    assert done.returncode == 1
    assert message(tmp_path) == "verity: x is not what its root hash says"
    assert (tmp_path / "table").read_text() == (
        f"0 56 verity 1 /dev/loop0 {tmp_path}/tree 4096 4096 7 1 sha256 {HASH} -\n"
    )
    assert "mount -t ext4 -o ro /dev/dm-3 /lower" in calls(tmp_path)


# -- iSCSI


def session(folder: Path, *luns: int, target: str = IQN) -> None:
    """A session and its disks as they are in sysfs."""
    place = folder / "sys/class/iscsi_session/session1"
    (place / "device").mkdir(parents=True)
    (place / "targetname").write_text(f"{target}\n")
    for lun in luns:
        (place / f"device/target6:0:0/6:0:0:{lun}/block/sd{'abc'[lun]}").mkdir(parents=True)


def test_the_disk_of_the_session_is_mounted(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, f"netboot.root=iscsi:10.9.0.1::3260:1:{IQN} netboot.fs=ext4")
    machine(tmp_path)
    session(tmp_path, 0, 1, 2)
    assert sh("nb_mount_lower").returncode == 0
    assert calls(tmp_path)[-1] == f"mount -t ext4 -o ro /dev/sdb {tmp_path}/run/lower"
    # Who is logged in does not log in again.
    assert not [call for call in calls(tmp_path) if call.startswith("iscsistart")]


def test_a_disk_that_is_not_there_is_named(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, f"netboot.root=iscsi:10.9.0.1::3260:2:{IQN} netboot.fs=ext4")
    machine(tmp_path)
    session(tmp_path, 0, 1)
    assert sh("nb_mount_lower", NB_LUN_WAIT="1").returncode == 1
    assert message(tmp_path) == f"it does not exist, or not for this client: LUN 2 of {IQN} at 10.9.0.1"


def test_login_is_by_the_clients_name_and_secret_with_the_settings_of_the_file(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, f"netboot.root=iscsi:10.9.0.1::::{IQN} netboot.fs=ext4 netboot.initiator=iqn.2018-05.x:lab-01")
    # Its standard output is a file, and so comes last.
    refusal = "iscsistart: initiator reported error (24 - iSCSI login failed due to authorization failure)"
    about = f"iscsistart: Logging into {IQN} 10.9.0.1:3260,1"
    machine(tmp_path, iscsistart=f"echo '{refusal}' >&2; echo '{about}'; exit 24")
    (tmp_path / "run/data/secrets").mkdir(parents=True)
    (tmp_path / "run/data/secrets/chap").write_text("joe  a secret")
    assert sh("nb_mount_lower").returncode == 1
    assert message(tmp_path) == refusal
    (call,) = [call for call in calls(tmp_path) if call.startswith("iscsistart")]
    assert f"-i iqn.2018-05.x:lab-01 -t {IQN} -g 1 -a 10.9.0.1 -p 3260 -u joe -w a secret -P " in call
    assert "-P node.session.timeo.replacement_timeout=86400" in call


def test_without_a_name_of_its_own_a_client_does_not_log_in(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, f"netboot.root=iscsi:10.9.0.1::3260:0:{IQN} netboot.fs=ext4")
    machine(tmp_path)
    assert sh("nb_mount_lower").returncode == 1
    assert "netboot.initiator= is missing" in message(tmp_path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("netboot.root=nfs:10.9.0.1:/x", "is no disk"),
        (f"netboot.root=iscsi:10.9.0.1::3260:1:{IQN} netboot.verity={HASH}", "verity:"),
    ],
)
def test_only_a_disk_that_nobody_checks_can_be_written(sh: Sh, tmp_path: Path, words: str, expected: str) -> None:
    line(tmp_path, f"netboot.writable=1 netboot.fs=ext4 {words}")
    machine(tmp_path)
    assert sh("nb_mount_own /root").returncode == 1
    assert expected in message(tmp_path)


def test_a_disk_of_the_clients_own_is_its_root(sh: Sh, tmp_path: Path) -> None:
    line(tmp_path, f"netboot.writable=1 netboot.fs=ext4 netboot.root=iscsi:10.9.0.1::3260:1:{IQN}")
    machine(tmp_path)
    session(tmp_path, 1)
    assert sh("nb_mount_own /root").returncode == 0
    assert calls(tmp_path)[-1] == "mount -t ext4 -o rw /dev/sdb /root"
