"""One version, reached in every way; and what becomes of damage and of a layer that is full."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from netboot.lab.client import LabFirmware, QemuClient
from netboot.lab.lab import DEFAULT_IMAGE, Lab
from netboot.lab.network import Seat
from netboot.model.boot import Outcome
from netboot.model.event import EventKind
from netboot.model.root import RootFormat, RootMode
from netboot.model.wishes import Wishes
from tests.boot.conftest import MakeLab
from tests.boot.damage import damage
from tests.boot.layered import assert_changes_end_with_a_reboot, assert_overlay_over_read_only
from tests.boot.stories import boot, settled

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

VERDICT_S = 240.0
# A running client looks at its temporary layer every five seconds.
TOLD_S = 30.0
CHAP = "\n[exports]\niscsi_chap = true\n"


def start(lab: Lab, *, more: str = "") -> None:
    """Start the daemon, with `more` in its configuration."""
    lab.config_file.write_text(lab.config_file.read_text() + more)
    lab.start_daemon()


def switch_on(lab: Lab, index: int, options: Sequence[str]) -> tuple[Seat, QemuClient]:
    seat, client = lab.register(index, extra=options), lab.client(index)
    client.start()
    return seat, client


def test_a_compressed_file_is_verified_and_mounted_through_nfs(make_lab: MakeLab) -> None:
    wishes = Wishes(root=RootMode.NFS_FILE, root_format=RootFormat.EROFS, verify=True)
    lab = make_lab(firmware=LabFirmware.UEFI, wishes=wishes)
    start(lab)
    _, client = boot(lab)
    assert_overlay_over_read_only(client, RootMode.NFS_FILE, RootFormat.EROFS, verified=True)
    # Reads of a system are small and scattered.
    assert client.command("cat /sys/block/loop0/queue/read_ahead_kb") == "128\n"
    assert_changes_end_with_a_reboot(lab, client)


def test_a_disk_is_reached_by_a_secret_and_a_full_layer_is_told(make_lab: MakeLab) -> None:
    wishes = Wishes(root=RootMode.ISCSI, verify=True, upper="100m")
    lab = make_lab(wishes=wishes)
    start(lab, more=CHAP)
    seat, client = boot(lab)
    assert_overlay_over_read_only(client, RootMode.ISCSI, RootFormat.EXT4, verified=True)
    secret = client.command("cut -d ' ' -f 2 /run/netboot/data/secrets/chap 2>/dev/null || true").strip()
    assert secret == "" or secret not in client.command("cat /proc/cmdline /proc/*/cmdline | tr '\\0' ' '")

    filled = client.command("dd if=/dev/zero of=/root/filling bs=1M 2>&1 || true")
    happened = time.time()
    assert "No space left on device" in filled
    with lab.watch() as watch:
        event = watch.wait_for(seat, EventKind.UPPER_FULL, timeout_s=TOLD_S)
    print(f"{event.details['message']}\n{event.at - happened:.1f} s after it was full")
    found = settled(lab, seat, timeout_s=TOLD_S)
    assert (found.outcome, "temporary layer is full" in found.cause) == (Outcome.UP, True)
    assert client.command("rm /root/filling && echo lives") == "lives\n"
    assert_changes_end_with_a_reboot(lab, client)


def test_one_byte_that_is_not_what_was_published_stops_the_boot(make_lab: MakeLab, data_dir: Path) -> None:
    damage(data_dir, DEFAULT_IMAGE.image, "/usr/lib/systemd/systemd")
    lab = make_lab(wishes=Wishes(root=RootMode.NFS_FILE, verify=True))
    start(lab)
    seat, client = switch_on(lab, 0, [])
    found = settled(lab, seat, timeout_s=VERDICT_S)
    assert found.outcome in (Outcome.STALLED, Outcome.FAILED)
    assert "bit for bit" in found.cause
    assert "login:" not in client.console.text
