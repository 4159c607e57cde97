"""Systems that bring their own boot loader, on disks of a server that is none of ours.

netboot tells iPXE which disk to boot from, and no more: loader, kernel and initramfs come from that disk, by the
firmware's own calls.  What the system tells on its console is by the iBFT that iPXE left for it.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from netboot.boot.progress import verdict
from netboot.images.store import ImageStore
from netboot.lab.client import LabFirmware
from netboot.lab.lab import Lab
from netboot.lab.network import Seat
from netboot.lab.watch import BootWatch
from netboot.model.boot import Outcome, Verdict
from netboot.model.event import Event, EventKind
from netboot.model.iscsi import initiator_name
from tests.boot.conftest import MakeLab
from tests.boot.stories import settled
from tests.lab.dhcp_wire import wait_for
from tests.modes.foreign_disk import make_disk, told
from tests.modes.nas import PORT, nas_at

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

NOBODYS_ADDRESS = "10.9.0.77"
TARGET = "iqn.2010-04.org.example:till-2"

# For an emulated machine on a busy one.
ATTACHED_S, SYSTEM_S = 120.0, 300.0


@pytest.mark.parametrize("firmware", [LabFirmware.BIOS, LabFirmware.UEFI])
def test_a_system_boots_by_the_loader_on_its_own_disk(make_lab: MakeLab, firmware: LabFirmware, tmp_path: Path) -> None:
    lab, token = make_lab(firmware=firmware), secrets.token_hex(8)
    version = ImageStore(lab.state / "images").get(lab.spec.image)
    make_disk(tmp_path / "disk", version, token=token, scratch=tmp_path)
    name = initiator_name(lab.plan.seats[0].name)
    with nas_at(lab.plan.server.ip, lab.directory / "nas.log") as nas:
        uri = nas.show(TARGET, tmp_path / "disk", number=1, admitting=name)
        lab.start_daemon()
        seat = lab.register(0, extra=("--san", uri))
        client = lab.client(0)
        client.start()
        with lab.watch() as watch:
            watch.wait_for(seat, EventKind.DISK_ATTACHED, timeout_s=ATTACHED_S)
            client.console.expect(r"^foreign: done$", timeout_s=SYSTEM_S)
            boot = watch.boot(seat)
    said = told(client.console.text_of_programs)
    print(lab.netboot("boot", "show", seat.name), said, sep="\n")
    # It is the disk's own kernel line, to which netboot adds nothing.
    assert "rdinit=/foreign/init" in said["cmdline"]
    assert "netboot" not in said["cmdline"]
    assert said["target0/target-name"] == TARGET
    assert (said["target0/ip-addr"], said["target0/port"]) == (str(lab.plan.server.ip), str(PORT))
    assert said["initiator/initiator-name"] == name
    assert said["ethernet0/mac"] == str(seat.mac)
    # The address is still its lease when the system asks the disk's server by it.
    (lease,) = json.loads(lab.netboot("lease", "list", "--json"))
    assert (said["ethernet0/ip-addr"], lease["mac"]) == (lease["address"], str(seat.mac))
    assert said["token"] == token
    assert boot is not None
    sent = {event.kind for event in boot.events}
    assert not sent & {EventKind.KERNEL_SENT, EventKind.INITRD_SENT, EventKind.INITRAMFS_STARTED}
    assert verdict(boot, now=boot.last_at + 3600).outcome is Outcome.HANDED_OVER
    assert "handed over to its disk" in lab.netboot("boot", "show", seat.name)


def test_a_disk_that_is_not_there_or_has_no_loader_is_told(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(count=4)
    names = [initiator_name(seat.name) for seat in lab.plan.seats]
    with (tmp_path / "blank").open("wb") as file:
        file.truncate(1 << 20)
    with nas_at(lab.plan.server.ip, lab.directory / "nas.log") as nas:
        nobodys = nas.uri(f"{TARGET}.nobody")
        of_the_first = nas.show(TARGET, tmp_path / "blank", number=1, admitting=names[0])
        blank = nas.show(f"{TARGET}.blank", tmp_path / "blank", number=2, admitting=names[2])
        lab.start_daemon()
        assert "has no such disk for the client" in attempt(lab, 0, nobodys, failing="san").cause
        assert "has no such disk for the client" in attempt(lab, 1, of_the_first, failing="san").cause
        # Of this one two tries: it has to be let go before it can be had again.
        assert "what is on it did not start" in attempt(lab, 2, blank, failing="san-loader", tries=2).cause
        assert "does not answer" in attempt(lab, 3, f"iscsi:{NOBODYS_ADDRESS}::::{TARGET}", failing="san").cause


def attempt(lab: Lab, index: int, uri: str, *, failing: str, tries: int = 1) -> Verdict:
    """Switch a client on that cannot boot from its disk, and see what is told of it, each time that it tries."""
    seat, client = lab.register(index, extra=("--san", uri)), lab.client(index)
    client.start()
    with lab.watch() as watch:
        failed = watch.wait_for(seat, EventKind.LOADER_FAILED, timeout_s=ATTACHED_S)
        found = settled(lab, seat, timeout_s=1)
        script = watch.wait_for(seat, EventKind.SCRIPT_SENT, timeout_s=1)
        wait_for(lambda: len(failures(watch, seat)) >= tries, f"{tries} failures", limit_s=ATTACHED_S)
        assert {each.details["file"] for each in failures(watch, seat)} == {failing}
    client.stop()
    print(f"{uri}: {found.cause}\n{failed.at - script.at:.1f} s after its script was sent")
    assert script.details["san"] == uri
    assert failed.details["file"] == failing
    assert (found.outcome, found.missing) == (Outcome.FAILED, EventKind.DISK_ATTACHED if failing == "san" else None)
    assert str(failed.details["message"]) in found.cause
    return found


def failures(watch: BootWatch, seat: Seat) -> list[Event]:
    boot = watch.boot(seat)
    return [event for event in boot.events if event.kind is EventKind.LOADER_FAILED] if boot else []
