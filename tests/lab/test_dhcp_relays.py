"""Clients behind relays that nobody here wrote: a router between them and us, with ISC's relay or dnsmasq on it.

server (10.9.0.1) -- br0 -- eth0 (10.9.0.2) relay (10.8.0.1) port1 -- eth0 guest
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from netboot.dhcp.message import MessageType, decode, encode
from netboot.lab.process import Child
from netboot.system.commands import run
from netboot.system.links import Links, create_namespace
from tests.cli_kit import publish_image
from tests.dhcp_kit import LAB, SERVER, UEFI, discover, selecting
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import BRIDGE, HOOK, Guest, make_wire, plug_in, wait_for
from tests.lab.whole_daemon import Daemon

pytestmark = pytest.mark.walls

NEAR, FAR = IPv4Interface("10.9.0.2/24"), IPv4Interface("10.8.0.1/24")
PORT = "port1"
CONFIG = f"""
[clients]
unknown = "image:debian"

[[interface]]
name = "{BRIDGE}"
dhcp = "own"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100-10.9.0.110"

[[subnet]]
network = "10.8.0.0/24"
pool = "10.8.0.100-10.8.0.110"
router = "{FAR.ip}"
"""
# Without its own option -a dhcrelay forwards as a plain BOOTP relay does.
RELAYS = {
    "dhcrelay": ("dhcrelay", "-4", "-d", "--no-pid", "-id", PORT, "-iu", "eth0", str(SERVER)),
    "dhcrelay with option 82": ("dhcrelay", "-4", "-d", "--no-pid", "-a", "-id", PORT, "-iu", "eth0", str(SERVER)),
    "dnsmasq": (
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root", "--port=0"),
        *("--pid-file", f"--dhcp-relay={FAR.ip},{SERVER}"),
    ),
}


def make_router() -> tuple[Guest, Guest]:
    """The router and the guest behind it."""
    make_wire()
    router, guest = plug_in("router", OTHER_MAC), Guest("guest")
    router.add_address(str(NEAR.ip))
    create_namespace(guest.name)
    with Links(router.name) as links:
        links.add_veth(PORT, peer="eth0", peer_namespace=guest.name)
        links.add_address(PORT, FAR)
        links.set_up(PORT)
        links.set_up("lo")
    run(router.argv("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"))
    run(guest.argv("ip", "link", "set", "eth0", "address", str(LAB.mac), "up"))
    run(["ip", "route", "add", str(FAR.network), "via", str(NEAR.ip)])
    return router, guest


@contextmanager
def relayed(relay: str, folder: Path, config: str = CONFIG) -> Iterator[tuple[Daemon, Guest]]:
    router, guest = make_router()
    publish_image(folder / "data")
    daemon = Daemon(folder, config)
    daemon.says("serving ")
    with Child.start(relay, router.argv(*RELAYS[relay]), log=folder / "relay.log") as running:
        wait_for(lambda: ":67 " in run(router.argv("ss", "-ulnH")).stdout, "relay")
        running.check()
        yield daemon, guest
    daemon.stop()


@pytest.mark.parametrize("relay", RELAYS)
def test_a_client_behind_a_relay_gets_renews_and_releases_its_lease(relay: str, tmp_path: Path) -> None:
    with relayed(relay, tmp_path) as (daemon, guest):
        argv = guest.argv("busybox", "udhcpc", "-i", "eth0", "-f", "-s", str(HOOK))
        with Child.start("udhcpc", argv, log=tmp_path / "udhcpc.log") as client:
            address = wait_for(guest.address, "address")
            assert IPv4Address("10.8.0.100") <= IPv4Address(address) <= IPv4Address("10.8.0.110")
            assert daemon.leases() == {address: "active"}
            run(guest.argv("ip", "route", "add", "default", "via", str(FAR.ip)))
            client.signal(signal.SIGUSR1)  # a renewal goes to the server itself, by the router
            wait_for(lambda: client.log.read_text().count(f"lease of {address} obtained") == 2, "renewal")
            assert f"sending renew to server {SERVER}" in client.log.read_text()
            run(guest.argv("ip", "route", "replace", "default", "via", str(FAR.ip)))
            client.signal(signal.SIGUSR2)
            wait_for(lambda: daemon.leases() == {address: "released"}, "release")


@pytest.mark.parametrize("relay", RELAYS)
def test_firmware_behind_a_relay_is_told_its_loader_and_fetches_it(relay: str, tmp_path: Path) -> None:
    with relayed(relay, tmp_path) as (_, guest):
        everyone = ("255.255.255.255", 67)
        with guest.socket() as sock:
            sock.sendto(encode(discover(UEFI, flags=0x8000)), everyone)
            offer = decode(sock.recv(4096))
            sock.sendto(encode(selecting(str(offer.yiaddr), UEFI, flags=0x8000)), everyone)
            ack = decode(sock.recv(4096))
        assert (offer.type, ack.type) == (MessageType.OFFER, MessageType.ACK)
        assert (ack.yiaddr, ack.siaddr, ack.giaddr) == (offer.yiaddr, SERVER, FAR.ip)
        assert ack.file == offer.file == b"ipxe/snponly.efi"
        assert 82 not in ack.options  # the relay takes off what it put on
        guest.add_address(str(ack.yiaddr))
        run(guest.argv("ip", "route", "add", "default", "via", str(FAR.ip)))
        got = tmp_path / "loader"
        run(guest.argv("atftp", "--option", "blksize 1428", "-g", "-r", ack.file.decode(), "-l", str(got), str(SERVER)))
        assert got.read_bytes()[:2] == b"MZ"


def test_a_relay_for_a_network_of_nobody_gets_silence(tmp_path: Path) -> None:
    only_here = CONFIG.partition('[[subnet]]\nnetwork = "10.8')[0]
    with relayed("dhcrelay", tmp_path, only_here) as (daemon, guest):
        with guest.socket() as sock:
            sock.settimeout(1)
            sock.sendto(encode(discover(flags=0x8000)), ("255.255.255.255", 67))
            with pytest.raises(TimeoutError):
                sock.recv(4096)
        daemon.says("10.8.0.1")
        assert daemon.leases() == {}
