"""ProxyDHCP on a wire where dnsmasq lends the addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.config import DhcpMode
from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.lab.neighbour import start_neighbour
from netboot.lab.network import LabPlan, make_network, plan_lab
from tests.dhcp_kit import BIOS, IPXE, LAB, UEFI, Raw, discover, packet
from tests.lab.dhcp_wire import Daemon, Guest, plug_in, wait_for

pytestmark = pytest.mark.walls

EVERYONE = ("255.255.255.255", 67)


@pytest.fixture
def plan() -> LabPlan:
    plan = plan_lab(1)
    make_network(plan)
    return plan


@pytest.fixture
def daemon(plan: LabPlan, tmp_path: Path) -> Iterator[Daemon]:
    with start_neighbour(plan, serves_dhcp=True, directory=tmp_path):
        daemon = Daemon.start(tmp_path, DhcpMode.PROXY)
        yield daemon
        daemon.stop()


@pytest.fixture
def guest(daemon: Daemon) -> Guest:
    return plug_in("guest", LAB.mac)


def offers(guest: Guest, asker: Raw) -> dict[str, Message]:
    """The offers of both servers, by who made them."""
    with guest.socket() as sock:
        sock.sendto(encode(discover(asker, flags=0x8000)), EVERYONE)
        both = [sock.recvfrom(4096) for _ in range(2)]
    assert {source[1] for _, source in both} == {67}
    return {source[0]: decode(data) for data, source in both}


def test_an_ordinary_client_is_the_other_servers_alone(daemon: Daemon, guest: Guest, plan: LabPlan) -> None:
    assert f"obtained from {plan.neighbour.ip}" in guest.udhcpc()
    assert daemon.events() == []


@pytest.mark.parametrize("asker", [BIOS, UEFI, IPXE])
def test_firmware_gets_its_address_there_and_its_boot_file_here(
    asker: Raw, daemon: Daemon, guest: Guest, plan: LabPlan
) -> None:
    found = offers(guest, asker)
    theirs, ours = found[str(plan.neighbour.ip)], found[str(plan.server.ip)]
    assert (bool(int(theirs.yiaddr)), theirs.file) == (True, b"")
    assert (int(ours.yiaddr), bool(ours.file), ours.options[60]) == (0, True, b"PXEClient")
    wait_for(lambda: [each["kind"] for each in daemon.events()][:2] == ["discovered", "offered"], "events")


def test_uefi_asks_again_on_port_4011(daemon: Daemon, guest: Guest, plan: LabPlan) -> None:
    guest.add_address("10.9.0.150")
    with guest.socket(4011) as sock:
        asked = packet(MessageType.REQUEST, UEFI, ciaddr=plan.server.ip + 149)
        sock.sendto(encode(asked), (str(plan.server.ip), 4011))
        data, source = sock.recvfrom(4096)
    assert source == (str(plan.server.ip), 4011)
    assert decode(data).file == b"ipxe/snponly.efi"
    acked = wait_for(lambda: daemon.events("acked"), "event")
    assert [each["address"] for each in acked] == ["10.9.0.150"]
