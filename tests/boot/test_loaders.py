"""Each loader on the firmware that it is for: what is fetched in which order, up to the prompt."""

from __future__ import annotations

import pytest

from netboot.lab.client import LabFirmware, QemuClient
from netboot.lab.config import LabDhcp
from netboot.lab.lab import Lab
from netboot.model.event import Event, EventKind
from netboot.model.loader import LoaderChoice
from netboot.model.request import Arch
from tests.boot.conftest import MakeLab
from tests.boot.disguise import Disguise

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
    """What the client fetched, in its order, and over which protocol; a script over HTTP has no name."""
    return [
        (event.kind, str(event.details.get("file", "")).lstrip("/"), str(event.details.get("by", "http")))
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


def test_undionly_drives_the_card_through_a_rom_that_does_not_say_it_is_ipxe(make_lab: MakeLab) -> None:
    lab = make_lab()
    with Disguise(lab.plan.seats[0].tap, lab.plan.bridge) as disguise:
        client, events = boot(lab)
        assert disguise.disguised >= 2  # its DISCOVER and its REQUEST
    seen = [(each.details["firmware"], each.details["stage"]) for each in events if each.kind is K.DISCOVERED]
    assert seen[0] == ("bios", "firmware")
    assert seen[-1] == ("ipxe", "loader")
    loader, *rest = fetched(events)
    assert loader == (K.LOADER_SENT, "ipxe/undionly.kpxe", "tftp")
    assert [(kind, by) for kind, _, by in rest if kind is not K.LOADER_SENT] == [
        (K.SCRIPT_SENT, "http"),
        (K.KERNEL_SENT, "http"),
        (K.INITRD_SENT, "http"),
    ]
    assert "UNDI" in client.console.text  # undionly.kpxe names the driver of its card


def test_uefi_http_boot_fetches_all_by_http(make_lab: MakeLab) -> None:
    client, events = boot(make_lab(firmware=LabFirmware.UEFI_HTTP))
    seen = [(each.details["firmware"], each.details["arch"]) for each in events if each.kind is K.DISCOVERED]
    assert seen[0] == ("uefi-http", Arch.X64_HTTP)
    assert seen[-1] == ("ipxe", Arch.X64_UEFI)
    loader, *rest = fetched(events)
    assert loader == (K.LOADER_SENT, "ipxe/snponly.efi", "http")
    assert {by for _, _, by in rest} == {"http"}
    assert ">>Start HTTP Boot over IPv4" in client.console.text


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
    assert "lab-01 login:" in client.console.text_of_programs
    assert "Secure boot enabled" in client.command("dmesg | grep -i 'secure boot'")
