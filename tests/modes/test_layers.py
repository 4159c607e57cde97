"""The temporary layers that are no plain memory, on real boots: compressed memory, a local disk, an encrypted one.

The machine with the disk has a card of Intel's, so that one image is seen to find other hardware as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from netboot.lab.client import QemuClient
from netboot.lab.lab import Lab
from netboot.model.event import EventKind
from netboot.model.wishes import Wishes
from tests.boot.conftest import MakeLab
from tests.boot.layered import restart
from tests.boot.stories import UP_S, boot

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

LABEL = "scratch"
MIB = 1 << 20


def layer(client: QemuClient) -> tuple[str, str]:
    """What the temporary layer is on, by the client's own word: the device and the file system."""
    source, kind = client.command("findmnt --noheadings --output SOURCE,FSTYPE /run/netboot/rw").split()
    return source, kind


def fill(client: QemuClient) -> None:
    """A full layer is no space left, for who writes, and nothing else."""
    assert "No space left on device" in client.command("dd if=/dev/urandom of=/root/filling bs=1M 2>&1 || true")
    assert client.command("rm /root/filling && echo lives") == "lives\n"


def test_changes_are_in_compressed_memory(make_lab: MakeLab) -> None:
    lab = make_lab(wishes=Wishes(upper="zram:48m"))
    lab.start_daemon()
    _, client = boot(lab)
    source, kind = layer(client)
    device = source.removeprefix("/dev/")
    assert (device[:4], kind) == ("zram", "ext4")
    assert client.command(f"cat /sys/block/{device}/disksize") == f"{48 * MIB}\n"
    client.command("head -c 16M /dev/zero >/root/zeros; sync")
    stored, compressed = map(int, client.command(f"cat /sys/block/{device}/mm_stat").split()[:2])
    assert stored > 10 * compressed
    fill(client)


def test_changes_are_on_a_local_disk_and_are_unreadable_if_wished(make_lab: MakeLab, tmp_path: Path) -> None:
    disk = scratch_disk(tmp_path)
    lab = make_lab(wishes=Wishes(upper=f"disk:{LABEL}"))
    lab.start_daemon()
    seat = lab.register(0)
    with machine_with(lab, disk) as client:
        client.start()
        wait_until_up(lab, client)
        assert client.command("readlink /sys/class/net/$(ls /sys/class/net | grep -v lo)/device/driver").endswith(
            "/e1000e\n"
        )
        assert layer(client) == ("/dev/vda", "ext4")
        assert client.command("ls -1 /run/netboot/rw") == "lost+found\nupper\nwork\n"
        write(client, "in the clear")
        assert holds(disk, "in the clear")

        lab.netboot("client", "set", seat.name, "--upper", f"crypt:{LABEL}")
        for secret in ("first secret", "second secret"):
            restart(lab, client)
            client.console.expect("login:", timeout_s=UP_S)
            client.login(timeout_s=60)
            source, kind = layer(client)
            assert kind == "ext4"
            assert client.command(f"dmsetup table {source}").split()[2:4] == ["crypt", "aes-xts-plain64"]
            # The key is the kernel's alone, and so is what the boot before wrote.
            assert client.command("test -e /root/file || echo gone") == "gone\n"
            write(client, secret)
            assert not holds(disk, secret)
        fill(client)


def scratch_disk(folder: Path) -> Path:
    """A disk of 96 MiB whose file system has the label, and a file that somebody forgot there."""
    disk, left = folder / "disk.raw", folder / "left"
    left.mkdir()
    (left / "forgotten").write_text("forgotten\n")
    disk.touch()
    subprocess.run(["truncate", "--size", str(96 * MIB), disk], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-L", LABEL, "-d", left, disk], check=True)
    return disk


@contextmanager
def machine_with(lab: Lab, disk: Path) -> Iterator[QemuClient]:
    """The lab's first client with another card, and with a disk."""
    drive = ("-drive", f"if=virtio,format=raw,cache=writethrough,file={disk}")
    client = QemuClient(replace(lab.client(0).spec, card="e1000e", more=drive))
    try:
        yield client
    finally:
        client.stop()


def wait_until_up(lab: Lab, client: QemuClient) -> None:
    with lab.watch() as watch:
        watch.wait_for(client.spec.seat, EventKind.UP, timeout_s=UP_S)
    client.login(timeout_s=60)


def write(client: QemuClient, text: str) -> None:
    """Onto the layer, and through to what it is on."""
    client.command(f"for line in $(seq 999); do echo '{text}'; done >/root/file; sync")


def holds(disk: Path, text: str) -> bool:
    return text.encode() in disk.read_bytes()
