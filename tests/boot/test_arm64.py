"""Machines of another architecture, on their way to a kernel: firmware, loader, script.

The image is the test's own and says that it is for arm64; its kernel is none.  What boots there is not of interest, a
whole system would take minutes in emulation, but that the firmware finds and starts what it was told.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from netboot.images.entries import FILES
from netboot.images.measure import measure_whole
from netboot.images.store import ImageStore
from netboot.lab.client import UBOOT_MAC, LabFirmware, QemuClient
from netboot.lab.config import LabDhcp
from netboot.lab.lab import Lab
from netboot.lab.watch import LOOK_S, BootWatch
from netboot.model.event import Event, EventKind
from netboot.model.loader import LoaderChoice
from netboot.model.names import VersionRef
from netboot.system.commands import run
from tests.boot.conftest import MakeLab
from tests.images_kit import manifest_for
from tests.kit import cannot_run

pytestmark = [pytest.mark.walls, pytest.mark.timeout(600)]

K = EventKind
BOARD = VersionRef("board")
# What scripts/setup fetches: the signed shim and GRUB for arm64, which no package for this machine has.
LOADERS = Path(__file__).parents[2] / ".cache/loaders-arm64"
ON_S = 120.0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with an image for arm64 alone."""
    own = tmp_path / "data"
    store = ImageStore(own / "images")
    with store.stage(BOARD.image) as staging:
        for part in ("kernel", "initrd"):
            (staging.version / FILES[part]).write_bytes(b"no kernel" * 10_000)
        run(["mkfs.ext4", "-q", str(staging.version / FILES["root"]), "8M"])
        files = measure_whole(staging.version, BOARD.image, staging.number)
        store.publish(staging, manifest_for(staging, files, arch="arm64", kernel_args=()))
    return own


def switched_on(lab: Lab) -> QemuClient:
    lab.start_daemon()
    lab.register(0)
    client = lab.client(0)
    client.start()
    return client


def events_until(watch: BootWatch, kind: EventKind) -> list[Event]:
    """All events up to the first of a kind.

    Not by the client's latest boot: firmware that goes on to its next try begins another.
    """
    found: list[Event] = []
    deadline = time.monotonic() + ON_S
    while kind not in [event.kind for event in found]:
        assert time.monotonic() < deadline, f"no {kind} within {ON_S:g} s, only {found}"
        time.sleep(LOOK_S)
        found += [event for _, event in watch.new_events()]
    return found


def fetched(events: list[Event], *kinds: EventKind) -> list[str]:
    """The files that were fetched, in their order."""
    return [str(event.details["file"]).lstrip("/") for event in events if event.kind in kinds]


@pytest.mark.parametrize("dhcp", LabDhcp)
def test_uefi_starts_the_signed_shim_and_grub_which_reads_its_script(make_lab: MakeLab, dhcp: LabDhcp) -> None:
    if not (LOADERS / "grub/grubaa64.efi").exists():
        cannot_run(f"there is no loader for arm64 in {LOADERS}; run scripts/setup")
    lab = make_lab(firmware=LabFirmware.ARM64, dhcp=dhcp, image=BOARD, loader=LoaderChoice.GRUB)
    # The folder of loaders is where an admin would put them, too.
    shutil.copytree(LOADERS, lab.state / "loaders")
    client = switched_on(lab)
    with lab.watch() as watch:
        client.console.expect("lab-01 boots board:1", timeout_s=ON_S)
        client.console.expect("kernel and initrd could not be started", timeout_s=ON_S)
        events = events_until(watch, K.TRANSFER_FAILED)
    assert fetched(events, K.LOADER_SENT, K.SCRIPT_SENT) == ["grub/shimaa64.efi", "grub/grubaa64.efi", "grub/grub.cfg"]
    # GRUB looked at the kernel and left it.
    assert fetched(events, K.TRANSFER_FAILED)[:1] == ["vmlinuz"]


def test_uboot_finds_its_script_by_itself_and_hands_the_kernel_its_line(make_lab: MakeLab) -> None:
    lab = make_lab(firmware=LabFirmware.UBOOT, image=BOARD)
    client = switched_on(lab)
    with lab.watch() as watch:
        for said in (
            r"Filename 'boot\.scr\.uimg'",
            rf"netboot: looking for the script of {UBOOT_MAC}",
            rf"Retrieving file: pxelinux\.cfg/01-{UBOOT_MAC.dashed}",
            r"board:1",
            r"append: boot=netboot .* systemd\.hostname=lab-01 ",
            r"Bad Linux ARM64 Image magic!",
        ):
            client.console.expect(said, timeout_s=ON_S)
        events = events_until(watch, K.KERNEL_SENT)
    assert fetched(events, K.SCRIPT_SENT, K.INITRD_SENT, K.KERNEL_SENT) == [
        f"pxelinux.cfg/01-{UBOOT_MAC.dashed}",
        "initrd.img",
        "vmlinuz",
    ]
    first = next(event for event in events if event.kind is K.DISCOVERED)
    assert (first.details["firmware"], first.details["stage"]) == ("u-boot", "firmware")
