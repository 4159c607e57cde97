"""What goes wrong on a boot network, with real machines: it ends in its verdict, or it is survived."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from netboot.lab.client import LabFirmware
from netboot.lab.lab import DEFAULT_IMAGE, Lab
from netboot.lab.process import import_path
from netboot.model.boot import Outcome
from netboot.model.event import EventKind
from netboot.system.commands import run
from tests.boot.conftest import MakeLab
from tests.boot.stories import UP_S, address_of, boot, settled

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

# A verdict on what the client itself reports comes at once; what is slow here is the emulated machine.
VERDICT_S = 180.0
FLOOD = 10_000
# The daemon's memory may not grow with what strangers send; this is room for caches and the allocator.
GROWTH_KIB = 16_384


def test_a_damaged_kernel_is_named(make_lab: MakeLab, data_dir: Path) -> None:
    image = data_dir / "images" / DEFAULT_IMAGE.image
    whole = image.resolve()
    (data_dir / "images").unlink()
    image.mkdir(parents=True)
    for number in whole.iterdir():
        _copy_with_damaged_kernel(number, image / number.name)
    lab = make_lab()
    lab.start_daemon()
    seat = lab.register(0)
    lab.client(0).start()

    found = settled(lab, seat, timeout_s=VERDICT_S)
    assert found.outcome is Outcome.FAILED
    assert "the loader could not start" in found.cause
    assert "netboot image fsck" in found.hint
    assert "login:" not in lab.client(0).console.text


def _copy_with_damaged_kernel(version: Path, copy: Path) -> None:
    copy.mkdir()
    for file in version.iterdir():
        (copy / file.name).symlink_to(file)
    kernel = copy / "vmlinuz"
    size = kernel.stat().st_size
    kernel.unlink()
    kernel.write_bytes(b"\x55" * size)
    shutil.copystat(version / "vmlinuz", kernel)


def test_an_export_that_is_away_is_told_with_the_clients_log(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.start_daemon()
    # The last word of a kind counts on a kernel line, so this is a server that lost the export.
    seat = lab.register(0, extra=["--kernel-arg", f"netboot.root=nfs:{lab.plan.server.ip}:/nowhere"])
    client = lab.client(0)
    client.start()

    found = settled(lab, seat, timeout_s=VERDICT_S)
    assert (found.outcome, found.reached) == (Outcome.STALLED, EventKind.INITRAMFS_STARTED)
    assert "not exported any more: mount.nfs" in found.cause
    with lab.watch() as watch:
        watch.wait_for(seat, EventKind.ROOT_FAILED, timeout_s=VERDICT_S)
    found = settled(lab, seat, timeout_s=VERDICT_S)
    assert found.outcome is Outcome.FAILED
    assert "mount.nfs" in found.log
    retries = client.console.expect(r"try (\d) to mount the root failed", timeout_s=10)
    assert retries
    # Nobody asked for a shell on the console of a machine in a classroom.
    assert "(initramfs)" not in client.console.text


def test_clients_without_an_image_are_denied_and_told_how_to_get_one(make_lab: MakeLab) -> None:
    lab = make_lab(count=2)
    lab.start_daemon()
    seat, stranger = lab.register(0), lab.plan.seats[1]
    lab.netboot("client", "set", seat.name, "--image", "none")
    for index in range(2):
        lab.client(index).start()

    known, unknown = (settled(lab, each, timeout_s=VERDICT_S) for each in (seat, stranger))
    assert (known.outcome, unknown.outcome) == (Outcome.DENIED, Outcome.DENIED)
    assert known.cause == f"client {seat.name} has no image"
    assert known.hint == f"assign one: netboot client set {seat.name} --image IMAGE"
    assert unknown.hint == f"add it: netboot client add {stranger.mac} --name NAME --image IMAGE"

    lab.netboot("client", "set", seat.name, "--image", str(DEFAULT_IMAGE))
    lab.client(0).reset()
    with lab.watch() as watch:
        watch.wait_for(seat, EventKind.KERNEL_SENT, timeout_s=VERDICT_S)


def test_a_daemon_killed_around_the_ack_keeps_the_address(make_lab: MakeLab) -> None:
    # EDK2 collects offers for 4 s before it asks for one, which leaves time to strike in between.
    lab = make_lab(firmware=LabFirmware.UEFI)
    lab.start_daemon()
    seat, client = lab.register(0), lab.client(0)
    client.start()
    with lab.watch() as watch:
        offer = watch.wait_for(seat, EventKind.OFFERED, timeout_s=VERDICT_S)
        strike(lab)
        boot_so_far = watch.boot(seat)
        assert boot_so_far is not None
        assert EventKind.ACKED not in {event.kind for event in boot_so_far.events}
        lab.start_daemon()
        ack = watch.wait_for(seat, EventKind.ACKED, timeout_s=VERDICT_S)
        strike(lab)
        lab.start_daemon()
        watch.wait_for(seat, EventKind.UP, timeout_s=UP_S)
    client.login(timeout_s=60)
    assert offer.details["address"] == ack.details["address"] == address_of(client)


def test_a_flooded_and_killed_server_serves_on_while_its_clients_forget(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.start_daemon()
    before = memory_kib(lab)
    flood(lab)
    lab.daemon.check()
    assert memory_kib(lab) - before < GROWTH_KIB

    seat, client = boot(lab)
    address = address_of(client)
    client.command("echo written > /etc/witness && cat /etc/witness")
    strike(lab)
    lab.start_daemon()
    # The root is there again, and what was never read comes over the wire.
    client.command("echo 3 > /proc/sys/vm/drop_caches; ls -lR /usr/lib >/dev/null", timeout_s=120)

    client.reset()
    client.console.expect("login:", timeout_s=UP_S)
    client.login(timeout_s=60)
    assert client.command("test -e /etc/witness || echo gone") == "gone\n"
    assert address_of(client) == address
    assert client.command("hostname") == f"{seat.name}\n"
    # Bit for bit what was published.
    lab.netboot("image", "fsck", str(DEFAULT_IMAGE))


def strike(lab: Lab) -> None:
    lab.kill_daemon(signal.SIGKILL)


def flood(lab: Lab) -> None:
    """Damaged packets from another host of the network: a packet to oneself would not come through the bridge."""
    where = f"--net=/run/netns/{lab.plan.neighbour_namespace}"
    argv = [sys.executable, "-m", "tests.boot.flood", str(lab.plan.server.ip), str(FLOOD)]
    root = Path(__file__).parents[2]
    run(["nsenter", where, *argv], env={"PYTHONPATH": f"{import_path()}:{root}"}, timeout_s=300)


def memory_kib(lab: Lab) -> int:
    status = Path(f"/proc/{lab.daemon.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1])
