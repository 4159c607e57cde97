"""The whole line, seen from the client's side: firmware, loader, kernel, NFS root, login prompt, console."""

from __future__ import annotations

import re

import pytest

from netboot.lab.client import LabFirmware, QemuClient
from netboot.lab.config import LabDhcp
from tests.boot.conftest import MakeLab
from tests.boot.stories import UP_S, boot

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

MOUNTS = re.compile(
    r"^10\.9\.0\.1:\S+ (?P<lower>\S+) nfs4 (?P<nfs>\S+) 0 0\n(?:.*\n)*?overlay / overlay (?P<overlay>\S+) 0 0$",
    re.MULTILINE,
)


def assert_root_is_an_overlay_over_read_only_nfs(client: QemuClient) -> None:
    mounts = client.command("cat /proc/mounts")
    found = MOUNTS.search(mounts)
    assert found, mounts
    assert "ro" in found["nfs"].split(",")
    assert f"lowerdir={found['lower']}" in found["overlay"].split(",")


@pytest.mark.parametrize("dhcp", LabDhcp)
@pytest.mark.parametrize("firmware", [LabFirmware.BIOS, LabFirmware.UEFI])
def test_a_diskless_client_boots_to_its_prompt(make_lab: MakeLab, firmware: LabFirmware, dhcp: LabDhcp) -> None:
    lab = make_lab(firmware=firmware, dhcp=dhcp)
    lab.start_daemon()
    seat, client = boot(lab)

    assert f"{seat.name} login:" in client.console.text_of_programs
    assert_root_is_an_overlay_over_read_only_nfs(client)
    assert client.command("hostname") == f"{seat.name}\n"
    assert client.command("test -d /sys/firmware/efi && echo uefi || echo bios") == f"{firmware}\n"
    lender = {LabDhcp.OWN: lab.plan.server.ip, LabDhcp.PROXY: lab.plan.neighbour.ip}[dhcp]
    # What the initramfs was told; systemd-networkd asks again only a minute after the start.
    assert f"ROOTSERVER='{lender}'" in client.command("cat /run/net-*.conf")


def test_two_clients_at_once_share_an_image_and_nothing_else(make_lab: MakeLab) -> None:
    lab = make_lab(count=2)
    lab.start_daemon()
    seats = [lab.register(index) for index in range(2)]
    clients = [lab.client(index) for index in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.login(timeout_s=UP_S * 2)
    for question in ("hostname", "cat /etc/machine-id", "ip -4 -o address show scope global | grep -o 'inet [^ ]*'"):
        one, other = (client.command(question) for client in clients)
        assert one != other, question
    assert [client.command("hostname").strip() for client in clients] == [seat.name for seat in seats]
