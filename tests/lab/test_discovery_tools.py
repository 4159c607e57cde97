"""The tools that admins look at a network with find us, and report what we are: nmap's scripts, Kea's perfdhcp."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.system.commands import run
from tests.cli_kit import publish_image
from tests.dhcp_kit import SERVER
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import BRIDGE, Guest, make_wire, plug_in
from tests.lab.whole_daemon import Daemon

pytestmark = pytest.mark.walls

CONFIG = f"""
[clients]
unknown = "image:debian"

[[interface]]
name = "{BRIDGE}"
dhcp = "own"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100-10.9.0.250"
router = "10.9.0.254"
dns = ["10.9.0.53"]
domain = "lab.example"
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    make_wire()
    publish_image(tmp_path / "data")
    daemon = Daemon(tmp_path, CONFIG)
    daemon.says("serving ")
    yield daemon
    daemon.stop()


@pytest.fixture
def guest(daemon: Daemon) -> Guest:
    """A station with an address of its own, outside of the pool."""
    guest = plug_in("guest", OTHER_MAC)
    guest.add_address("10.9.0.50")
    return guest


def nmap(guest: Guest, *more: str) -> str:
    return run(guest.argv("nmap", "-e", "eth0", "-Pn", "-n", *more)).stdout


def test_nmap_discovers_the_dhcp_server(daemon: Daemon, guest: Guest) -> None:
    said = nmap(guest, "--script", "broadcast-dhcp-discover")
    offered = re.search(r"IP Offered: (10\.9\.0\.\d+)", said)
    assert offered, said
    assert 100 <= int(offered[1].rpartition(".")[2]) <= 250
    for line in (f"Server Identifier: {SERVER}", "Router: 10.9.0.254", "Subnet Mask: 255.255.255.0"):
        assert line in said
    assert daemon.leases() == {}  # it took nothing


def test_nmap_asks_the_dhcp_server_itself(daemon: Daemon, guest: Guest) -> None:
    said = nmap(guest, "-sU", "-p67", "--script", "dhcp-discover", str(SERVER))
    for line in (f"Server Identifier: {SERVER}", "Domain Name Server: 10.9.0.53", "Domain Name: lab.example"):
        assert line in said, said
    assert daemon.leases() == {}


@pytest.mark.parametrize("arch", ["0000", "0007"], ids=["bios", "uefi"])
def test_perfdhcp_counts_no_failure(arch: str, daemon: Daemon, guest: Guest) -> None:
    """A hundred exchanges as of firmware; each packet of it says, as a relay's would, where it comes from."""
    vendor = b"PXEClient:Arch:00007:UNDI:003016".hex()
    load = ("-4", "-r", "50", "-R", "40", "-n", "100", "-W", "500000", "-u", "-o", f"60,{vendor}", "-o", f"93,{arch}")
    argv = guest.argv("perfdhcp", *load, "-l", "eth0", str(SERVER))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^drops: (\d+)$", done.stdout, re.MULTILINE) == ["0", "0"]
    assert re.findall(r"^received packets: (\d+)$", done.stdout, re.MULTILINE) == ["100", "100"]
    leases = daemon.leases()
    assert len(leases) == 40
    assert set(leases.values()) == {"active"}
