"""Sources that are broken or mean harm, and imports that are killed: each is told, none leaves anything."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from netboot.errors import InvalidInput, NetbootError
from tests.cli_kit import NETBOOT, Cli, environ
from tests.import_kit import (
    MIB,
    TAR,
    fill,
    make_bootable_system,
    make_filesystem,
    make_rich_system,
)
from tests.tar_kit import archive, item, seen


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return make_rich_system(tmp_path / "system")


@pytest.fixture
def bootable(tmp_path: Path) -> Path:
    return make_bootable_system(tmp_path / "bootable")


@pytest.mark.parametrize("packer", [["gzip"], ["xz"], ["zstd", "-q"], ["bzip2"]])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_an_archive_that_is_cut_off_or_damaged_is_told(
    system: Path, tmp_path: Path, packer: list[str], share: float
) -> None:
    tar = subprocess.run([*TAR, "-C", system, "-cf", "-", "."], check=True, capture_output=True).stdout
    packed = subprocess.run([*packer, "-c"], input=tar, check=True, capture_output=True).stdout
    source = tmp_path / "a"
    source.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(InvalidInput, match=r"cut off|compression is broken"):
        fill(source, tmp_path)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    source.write_bytes(damaged)
    with pytest.raises(InvalidInput, match=r"broken|cut off|unknown|cannot|more than|not a number"):
        fill(source, tmp_path)


def test_a_bomb_stops_at_the_size_of_the_image(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tar.gz"
    head = archive([item("x", size=4 << 30)])[:512]
    with bomb.open("wb") as output:
        packer = subprocess.Popen(["gzip", "-1"], stdin=subprocess.PIPE, stdout=output)
        assert packer.stdin
        packer.stdin.write(head)
        for _ in range(110):
            packer.stdin.write(b"x" * MIB)
        packer.stdin.close()
        assert packer.wait() == 0
    assert bomb.stat().st_size < 2 * MIB
    with pytest.raises(InvalidInput, match="unpacks to more than 100 MiB"):
        fill(bomb, tmp_path, size_bytes=100 * MIB)
    assert (tmp_path / "imported/x").stat().st_size <= 101 * MIB


def test_links_of_a_hostile_system_lead_nowhere(bootable: Path, tmp_path: Path) -> None:
    """Each leads where an import writes, reads or removes something: none of it may be ours."""
    victim = tmp_path / "victim"
    for name in ("ssh", "netboot", "log"):
        (victim / name).mkdir(parents=True)
    for name in ("ssh/ssh_host_rsa_key", "log/x.log", "vmlinuz"):
        (victim / name).write_text("ours")
    before = {entry.path: content for entry, content in seen(victim)}
    (bootable / "etc/ssh").symlink_to(victim / "ssh")
    (bootable / "var/log").symlink_to("../" * 30 + str(victim / "log").lstrip("/"))
    (bootable / "usr/share").mkdir()
    (bootable / "usr/share/netboot").symlink_to(victim / "netboot")
    (bootable / "etc/machine-id").symlink_to(victim / "vmlinuz")
    (bootable / "boot/vmlinuz-6.1.0-10").unlink()
    (bootable / "boot/vmlinuz-6.1.0-10").symlink_to(victim / "vmlinuz")
    ran = Cli(tmp_path / "data")("image", "import", "tiny", str(bootable))
    assert ran.code != 0
    assert {entry.path: content for entry, content in seen(victim)} == before
    assert not list((tmp_path / "data/images").glob("tiny/*"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_import_leaves_nothing_that_lasts(system: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Killed while the disk is mounted and its files are copied: no mount, no loop device, no process, no version."""
    with (system / "large").open("wb") as large:
        for _ in range(110):
            large.write(os.urandom(MIB))
    raw = make_filesystem("ext4", system, tmp_path / "raw")
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    data = tmp_path / "data"
    argv = [*NETBOOT, "--data-dir", str(data), "image", "import", "tiny", str(disk)]
    importing = subprocess.Popen(argv, env=environ(), stderr=subprocess.PIPE)
    large_file = data / "images/.staging/tiny/scratch/tree/large"
    while not (large_file.exists() and large_file.stat().st_size > MIB) and importing.poll() is None:
        time.sleep(0.01)
    importing.send_signal(number)
    importing.communicate(timeout=30)
    assert importing.returncode in (-number, 130)
    deadline = time.monotonic() + 10
    while (left := _remains(disk)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert Cli(data).ok("image", "list", "--json").json == []
    if number == signal.SIGINT:
        assert list((data / "images/.staging/tiny").iterdir()) == []
    with pytest.raises(NetbootError, match="no kernel"):  # and it can be tried again
        raise NetbootError(Cli(data)("image", "import", "tiny", str(disk)).stderr)
    assert list((data / "images/.staging/tiny").iterdir()) == []


def _remains(disk: Path) -> list[str]:
    loops = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True).stdout.splitlines()
    words = [(each / "cmdline") for each in Path("/proc").glob("[0-9]*")]
    found = [line for line in loops if "scratch/disk" in line]
    for file in words:
        try:
            text = file.read_bytes()
        except OSError:
            continue
        if b"qemu-storage-daemon" in text and str(disk).encode() in text:
            found.append(text.decode(errors="replace"))
    return found
