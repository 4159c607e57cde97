"""Firmware that does not boot by the first way it is told: the whole daemon, and clients that ignore a strategy."""

from __future__ import annotations

import signal
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.dhcp import options as opt
from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.lab.neighbour import start_neighbour
from netboot.lab.network import make_network, plan_lab
from netboot.model.mac import MacAddress
from netboot.system.commands import run
from tests.cli_kit import Cli, publish_image
from tests.dhcp_kit import BIOS, LAB, UEFI, Raw, discover, packet, selecting
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import BRIDGE, Guest, make_wire, plug_in, wait_for
from tests.lab.whole_daemon import Daemon

pytestmark = pytest.mark.walls

EVERYONE = ("255.255.255.255", 67)
US = IPv4Address("10.9.0.1")
# A twentieth of a person's patience: what is waited for 30 s there is waited for 3 s here.
CONFIG = """
[boot]
patience = 0.1

[[interface]]
name = "{interface}"
dhcp = "{dhcp}"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100-10.9.0.110"
"""


class Site:
    """The daemon with one client that an admin added, and what the command line says of it."""

    def __init__(self, folder: Path, dhcp: str) -> None:
        self.folder = folder
        self.cli = Cli(folder / "data")
        publish_image(folder / "data")
        self.cli.ok("client", "add", str(LAB.mac), "--name", LAB.name, "--image", "debian")
        self._config = CONFIG.format(interface=BRIDGE, dhcp=dhcp)
        self.daemon = self.start()

    def start(self) -> Daemon:
        daemon = Daemon(self.folder, self._config)
        daemon.says(f"serving {BRIDGE}")
        return daemon

    def kill_and_restart(self) -> None:
        self.daemon.child.signal(signal.SIGKILL)
        self.daemon = self.start()

    def stop(self) -> None:
        self.daemon.stop()

    def told(self, kind: str) -> list[dict[str, str]]:
        return [each["details"] for each in self.daemon.events(kind)]

    def changed(self, times: int = 1) -> dict[str, str]:
        return wait_for(lambda: self.told("strategy-changed")[times - 1 :], "change of strategy")[0]


def offer(guest: Guest, asker: Raw, *, mac: MacAddress = LAB.mac) -> Message:
    """Our answer to one DISCOVER; another server's is passed over."""
    with guest.socket() as sock:
        sock.sendto(encode(discover(asker, mac=mac, flags=0x8000)), EVERYONE)
        while True:
            data, source = sock.recvfrom(4096)
            if source[0] == str(US):
                return decode(data)


def take(guest: Guest, asker: Raw, address: str, *, server: IPv4Address = US) -> None:
    with guest.socket() as sock:
        sock.sendto(encode(selecting(address, asker, server=server, flags=0x8000)), EVERYONE)
        assert decode(sock.recv(4096)).type is MessageType.ACK


def fetch(guest: Guest, name: bytes, folder: Path) -> None:
    run(guest.argv("atftp", "-g", "-r", name.decode(), "-l", str(folder / "loader"), str(US)))


def test_firmware_that_wants_discovery_gets_it_after_one_failure(tmp_path: Path) -> None:
    make_wire()
    guest = plug_in("guest", LAB.mac)
    site = Site(tmp_path, "own")
    first = offer(guest, BIOS)
    assert first.options[43] == b"\x06\x01\x08\xff"
    take(guest, BIOS, str(first.yiaddr))

    changed = site.changed()
    assert (changed["before"], changed["strategy"]) == ("direct", "discovery")
    assert "fetched no loader" in changed["reason"]

    second = offer(guest, BIOS)
    assert list(opt.read_suboptions(second.options[43])) == [6, 8, 9, 10]
    address = str(second.yiaddr)
    take(guest, BIOS, address)
    guest.add_address(address)
    with guest.socket(4011) as sock:
        asked = packet(MessageType.REQUEST, BIOS, more={43: b"\x47\x04\x80\x00\x00\x00\xff"}, ciaddr=second.yiaddr)
        sock.sendto(encode(asked), (str(US), 4011))
        named = decode(sock.recv(4096))
    fetch(guest, named.file, tmp_path)
    wait_for(lambda: site.told("strategy-proven"), "proof")

    site.kill_and_restart()
    other = plug_in("other", OTHER_MAC)
    site.cli.ok("client", "add", str(OTHER_MAC), "--name", "lab-02", "--image", "debian")
    time.sleep(0.2)
    assert list(opt.read_suboptions(offer(other, BIOS, mac=OTHER_MAC).options[43])) == [6, 8, 9, 10]
    shown = wait_for(lambda: site.cli.ok("client", "show", "lab-02", "--json").json["told"], "offer")
    assert (shown["strategy"], shown["worked_for"]) == ("discovery", [str(LAB.mac)])
    assert "fetched no loader; machines of its make booted by it: 1" in site.cli.ok("client", "show", "lab-02").stdout
    site.cli.ok("client", "set", "lab-02", "--strategy", "direct")
    time.sleep(0.2)
    assert offer(other, BIOS, mac=OTHER_MAC).options[43] == b"\x06\x01\x08\xff"
    site.stop()


def test_silence_on_port_4011_beside_another_server(tmp_path: Path) -> None:
    plan = plan_lab(1)
    make_network(plan)
    guest = plug_in("guest", LAB.mac)
    with start_neighbour(plan, serves_dhcp=True, directory=tmp_path):
        site = Site(tmp_path, "proxy")
        first = offer(guest, UEFI)
        assert 43 not in first.options
        take(guest, UEFI, "10.9.0.150", server=plan.neighbour.ip)
        changed = site.changed()
        assert (changed["before"], changed["strategy"], changed["mode"]) == ("invite", "direct", "proxy")
        assert "never asked port 4011" in changed["reason"]
        assert offer(guest, UEFI).options[43] == b"\x06\x01\x08\xff"
        (requested,) = site.told("requested")
        assert (requested["server"], requested["address"]) == (str(plan.neighbour.ip), "10.9.0.150")
        site.stop()


def test_firmware_that_nobody_lends_an_address_has_not_failed(tmp_path: Path) -> None:
    """Beside a DHCP server that is silent EDK2 asks four times; each time it is told the same."""
    make_wire()
    guest = plug_in("guest", LAB.mac)
    site = Site(tmp_path, "proxy")
    for pause in (0, 4, 5, 3):
        time.sleep(pause)
        assert 43 not in offer(guest, UEFI).options
    time.sleep(1.5)
    assert 43 not in offer(guest, UEFI).options
    site.stop()
    assert site.told("strategy-changed") == []
