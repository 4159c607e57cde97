"""Loaders other than iPXE, each on the firmware that it is for: what is fetched in which order, up to the prompt."""

from __future__ import annotations

import pytest

from netboot.lab.client import LabFirmware, QemuClient
from netboot.lab.config import LabDhcp
from netboot.lab.lab import Lab
from netboot.model.event import Event, EventKind
from netboot.model.loader import LoaderChoice
from tests.boot.conftest import MakeLab

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

K = EventKind
UP_S = 300.0
FETCHED = frozenset({K.LOADER_SENT, K.SCRIPT_SENT, K.KERNEL_SENT, K.INITRD_SENT})


def boot(lab: Lab) -> tuple[QemuClient, list[Event]]:
    """Boot the lab's one client to its shell; the events of the one boot that it took."""
    lab.start_daemon()
    seat, client = lab.register(0), lab.client(0)
    client.start()
    with lab.watch() as watch:
        watch.wait_for(seat, K.UP, timeout_s=UP_S)
        every = [event for _, event in watch.new_events()]
    client.login(timeout_s=60)
    assert len({event.boot for event in every}) == 1, every
    return client, every


def fetched(events: list[Event]) -> list[tuple[EventKind, str, str]]:
    """What the client fetched, in its order, and over which protocol."""
    return [
        (event.kind, str(event.details["file"]).lstrip("/"), str(event.details["by"]))
        for event in events
        if event.kind in FETCHED
    ]


def test_pxelinux_on_bios_fetches_its_core_and_configuration_and_then_by_http(make_lab: MakeLab) -> None:
    lab = make_lab(loader=LoaderChoice.PXELINUX)
    _, events = boot(lab)
    mac = lab.plan.seats[0].mac
    assert fetched(events) == [
        (K.LOADER_SENT, "pxelinux/lpxelinux.0", "tftp"),
        (K.LOADER_SENT, "pxelinux/ldlinux.c32", "tftp"),
        (K.SCRIPT_SENT, f"pxelinux/pxelinux.cfg/01-{mac.dashed}", "tftp"),
        (K.KERNEL_SENT, "vmlinuz", "http"),
        (K.INITRD_SENT, "initrd.img", "http"),
    ]


@pytest.mark.parametrize("dhcp", LabDhcp)
def test_grub_starts_the_signed_kernel_under_secure_boot(make_lab: MakeLab, dhcp: LabDhcp) -> None:
    client, events = boot(make_lab(firmware=LabFirmware.SECURE, dhcp=dhcp, loader=LoaderChoice.GRUB))
    assert fetched(events) == [
        (K.LOADER_SENT, "grub/shimx64.efi", "tftp"),
        (K.LOADER_SENT, "grub/grubx64.efi", "tftp"),
        (K.SCRIPT_SENT, "grub/grub.cfg", "tftp"),
        (K.KERNEL_SENT, "vmlinuz", "tftp"),
        (K.INITRD_SENT, "initrd.img", "tftp"),
    ]
    lockdown = "/sys/kernel/security/lockdown"
    client.command(f"test -e {lockdown} || mount -t securityfs none /sys/kernel/security")
    assert client.command(f"cat {lockdown}") == "none [integrity] confidentiality\n"
    assert "Secure boot enabled" in client.command("dmesg | grep -i 'secure boot'")
