"""Every way to a root, on every firmware, with every kind of initramfs: twelve boots, each looked at from its inside.

Not part of `make test`, whose boot tests have a part of them: `make root-modes` builds the images and runs this.
"""

from __future__ import annotations

import pytest

from netboot.config.paths import DataDir
from netboot.images.store import ImageStore
from netboot.lab.client import LabFirmware
from netboot.model.names import VersionRef
from netboot.model.root import RootFormat, RootMode
from netboot.model.wishes import Wishes
from tests.boot.conftest import MakeLab
from tests.boot.layered import (
    assert_changes_end_with_a_reboot,
    assert_it_switches_itself_off,
    assert_overlay_over_read_only,
)
from tests.boot.stories import boot
from tests.kit import cannot_run

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

IMAGES = {"initramfs-tools": VersionRef("debian-minimal"), "dracut": VersionRef("debian-minimal-dracut")}


@pytest.mark.parametrize("initramfs", IMAGES)
@pytest.mark.parametrize("firmware", [LabFirmware.BIOS, LabFirmware.UEFI])
@pytest.mark.parametrize("mode", RootMode)
def test_the_client_is_up_stateless_and_keeps_its_address(
    make_lab: MakeLab, mode: RootMode, firmware: LabFirmware, initramfs: str
) -> None:
    image = IMAGES[initramfs]
    store = ImageStore(DataDir.find(None, None).images)
    version = store.find(image)
    if version is None:
        cannot_run(f"no image {image}; build it: netboot image build {image}")
    verified = mode is not RootMode.NFS
    lab = make_lab(firmware=firmware, image=image, wishes=Wishes(root=mode, verify=verified))
    before = (version.root.path.stat().st_mtime_ns, version.root.path.stat().st_ctime_ns)
    lab.start_daemon()
    _, client = boot(lab)
    assert_overlay_over_read_only(client, mode, RootFormat.EXT4, verified=verified)
    assert client.command("test -d /sys/firmware/efi && echo uefi || echo bios") == f"{firmware}\n"
    assert_changes_end_with_a_reboot(lab, client)
    assert_it_switches_itself_off(client)
    assert (version.root.path.stat().st_mtime_ns, version.root.path.stat().st_ctime_ns) == before
