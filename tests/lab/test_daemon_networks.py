"""Several interfaces and networks, relays, and interfaces that come and go, with the daemon as users run it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.lab.process import Child
from netboot.system.commands import run
from netboot.system.links import Links
from tests.cli_kit import publish_image
from tests.dhcp_kit import SYSTEM, UEFI, Raw, discover, packet
from tests.kit import MAC, OTHER_MAC
from tests.lab.dhcp_wire import BRIDGE, Guest, make_wire, plug_in, wait_for
from tests.lab.whole_daemon import Daemon

pytestmark = pytest.mark.walls

EVERYONE = ("255.255.255.255", 67)
FAR_BRIDGE = "br1"
NEAR = '[[subnet]]\nnetwork = "10.9.0.0/24"\npool = "10.9.0.100-10.9.0.199"\n'
FAR = '[[subnet]]\nnetwork = "10.8.0.0/24"\npool = ["10.8.0.100-10.8.0.109", "10.8.0.120-10.8.0.129"]\n'
MENU = '[clients]\nunknown = "menu"\n'


def interface(name: str, dhcp: str = "own") -> str:
    return f'[[interface]]\nname = "{name}"\ndhcp = "{dhcp}"\n'


@contextmanager
def serving(folder: Path, config: str) -> Iterator[Daemon]:
    daemon = Daemon(folder, config)
    daemon.says("images by")
    yield daemon
    daemon.stop()


def asked(guest: Guest, message: Message, to: tuple[str, int] = EVERYONE) -> tuple[Message, tuple[str, int]] | None:
    """The first answer and who sent it, None for silence."""
    with guest.socket() as sock:
        sock.settimeout(1)
        sock.sendto(encode(message), to)
        try:
            data, source = sock.recvfrom(4096)
        except TimeoutError:
            return None
    return decode(data), source


def mode(guest: Guest) -> str:
    """How the guest's network is served, as its machine sees it: by an offer with an address, without, or none."""
    answer = asked(guest, discover(UEFI, flags=0x8000))
    if answer is None:
        return "off"
    return "own" if int(answer[0].yiaddr) else "proxy"


def test_two_interfaces_answer_each_from_its_own_address_and_leave_each_other_alone(tmp_path: Path) -> None:
    make_wire(BRIDGE, "10.9.0.1/24", "10.9.0.2/24")  # with an alias
    make_wire(FAR_BRIDGE, "10.8.0.1/24")
    near, far = plug_in("near", MAC), plug_in("far", OTHER_MAC, FAR_BRIDGE)
    with serving(tmp_path, interface(BRIDGE) + interface(FAR_BRIDGE) + NEAR + FAR):
        for guest, mac, server, network in (
            (near, MAC, "10.9.0.1", "10.9.0."),
            (far, OTHER_MAC, "10.8.0.1", "10.8.0."),
        ):
            answer = asked(guest, discover(SYSTEM, mac=mac, flags=0x8000))
            assert answer is not None
            offer, source = answer
            assert (source, str(IPv4Address(offer.options[54]))) == ((server, 67), server)
            assert str(offer.yiaddr).startswith(network)
            assert f"obtained from {server}" in guest.udhcpc()
            assert str(guest.address()).startswith(network)
        # The alias means us too, and goes on being called so.
        address = str(near.address())
        renewal = packet(MessageType.REQUEST, ciaddr=IPv4Address(address))
        answer = asked(near, renewal, ("10.9.0.2", 67))
        assert answer is not None
        assert (answer[0].type, answer[1]) == (MessageType.ACK, ("10.9.0.1", 67))
        taking = packet(MessageType.REQUEST, more={54: bytes((10, 9, 0, 2)), 50: IPv4Address(address).packed})
        answer = asked(near, taking)
        assert answer is not None
        assert (answer[0].type, answer[0].options[54]) == (MessageType.ACK, bytes((10, 9, 0, 2)))


def test_a_machine_that_is_carried_to_another_network_is_told_so_and_served_there(tmp_path: Path) -> None:
    make_wire(BRIDGE, "10.9.0.1/24")
    make_wire(FAR_BRIDGE, "10.8.0.1/24")
    guest = plug_in("guest", MAC)
    with serving(tmp_path, interface(BRIDGE) + interface(FAR_BRIDGE) + NEAR + FAR):
        guest.udhcpc()
        before = str(guest.address())
        assert before.startswith("10.9.0.")
        with Links() as links:
            links.attach("guest-port", bridge=FAR_BRIDGE)
        remembered: Raw = {50: IPv4Address(before).packed}
        answer = asked(guest, packet(MessageType.REQUEST, more=remembered))
        assert answer is not None
        assert (answer[0].type, answer[1]) == (MessageType.NAK, ("10.8.0.1", 67))
        guest.forget_address()
        guest.udhcpc()
        assert str(guest.address()).startswith("10.8.0.")


@contextmanager
def relay(folder: Path) -> Iterator[None]:
    """A router with ISC's relay between the near network, where the daemon is, and a far one without a server."""
    with Links() as links:
        links.add_bridge(FAR_BRIDGE)
        links.set_up(FAR_BRIDGE)
    router = plug_in("router", OTHER_MAC)
    with Links() as links:
        links.add_veth("router-far", peer="eth1", peer_namespace="router")
        links.attach("router-far", bridge=FAR_BRIDGE)
        links.set_up("router-far")
    router.add_address("10.9.0.254")
    run(router.argv("ip", "address", "add", "10.8.0.254/24", "dev", "eth1"))
    run(router.argv("ip", "link", "set", "eth1", "up"))
    run(router.argv("sysctl", "-qw", "net.ipv4.ip_forward=1"))
    run(["ip", "route", "add", "10.8.0.0/24", "via", "10.9.0.254"])
    argv = router.argv("dhcrelay", "-4", "-d", "-a", "-id", "eth1", "-iu", "eth0", "10.9.0.1")
    with Child.start("dhcrelay", argv, log=folder / "relay.log") as child:
        wait_for(lambda: "Sending on" in child.log.read_text(), "relay")
        yield


def test_a_real_relays_clients_are_served_by_their_subnet_and_renew_past_it(tmp_path: Path) -> None:
    make_wire(BRIDGE, "10.9.0.1/24")
    publish_image(tmp_path / "data")
    port = '[[reservation]]\naddress = "10.8.0.50"\ncircuit_id = "eth1"\n'
    router = 'router = "10.8.0.254"\n'
    with relay(tmp_path), serving(tmp_path, interface(BRIDGE) + NEAR + FAR + router) as daemon:
        guest = plug_in("guest", MAC, FAR_BRIDGE)
        assert "obtained from 10.9.0.1" in guest.udhcpc()
        address = str(guest.address())
        assert address.startswith("10.8.0.1")
        run(guest.argv("ip", "route", "replace", "default", "via", "10.8.0.254"))
        renewed = asked(guest, packet(MessageType.REQUEST, ciaddr=IPv4Address(address)), ("10.9.0.1", 67))
        assert renewed is not None
        assert (renewed[0].type, str(renewed[0].yiaddr), renewed[1]) == (MessageType.ACK, address, ("10.9.0.1", 67))
        # Switched by a reload, each network for itself, and through the same socket.
        daemon.reload(interface(BRIDGE) + NEAR + FAR + 'dhcp = "proxy"\n' + MENU)
        daemon.says("(10.9.0.1, dhcp own, proxy for 10.8.0.0/24); images")
        assert asked(guest, discover(SYSTEM, flags=0x8000)) is None
        assert mode(guest) == "proxy"
        daemon.reload(interface(BRIDGE) + NEAR + FAR + router + port)
        daemon.says("(10.9.0.1, dhcp own); images", times=2)
        guest.forget_address()
        guest.udhcpc()
        assert guest.address() == "10.8.0.50"  # by the port that the relay names


def is_shared(port: int) -> bool:
    """Whether another server on this host could have the port too, as one that lends what we are a proxy of."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("", port))
        except OSError:
            return False
        return True


def ports() -> set[int]:
    listed = run(["ss", "-Hulnp"]).stdout.splitlines()
    return {port for port in (67, 4011) for line in listed if f":{port} " in line}


def test_a_subnets_mode_is_switched_without_a_restart_and_the_ports_follow(tmp_path: Path) -> None:
    make_wire(BRIDGE, "10.9.0.1/24")
    guest = plug_in("guest", MAC)
    publish_image(tmp_path / "data")

    def config(dhcp: str) -> str:
        return interface(BRIDGE) + NEAR + f'dhcp = "{dhcp}"\n' + MENU

    both = {67, 4011}
    with serving(tmp_path, config("own")) as daemon:
        assert (mode(guest), ports(), is_shared(67)) == ("own", both, False)
        for times, dhcp, expected in (
            (1, "proxy", ("proxy", both, True)),
            (1, "off", ("off", set(), True)),
            (2, "proxy", ("proxy", both, True)),
            (2, "own", ("own", both, False)),
        ):
            daemon.reload(config(dhcp))
            daemon.says(f"serving {BRIDGE} (10.9.0.1, dhcp {dhcp}); images", times=times)
            assert (mode(guest), ports(), is_shared(67)) == expected


def add_card(name: str, address: str, guest: str) -> Guest:
    """A card that is plugged into this server, with a machine at its other end."""
    run(["ip", "netns", "add", guest])
    with Links() as links:
        links.add_veth(name, peer="eth0", peer_namespace=guest)
        links.add_address(name, IPv4Interface(address))
        links.set_up(name)
    machine = Guest(guest)
    run(machine.argv("ip", "link", "set", "eth0", "up"))
    return machine


def test_a_card_that_comes_late_is_served_then_and_goes_without_harm_to_others(tmp_path: Path) -> None:
    make_wire(BRIDGE, "10.9.0.1/24")
    near = plug_in("near", MAC)
    with serving(tmp_path, interface(BRIDGE) + interface("usb0") + NEAR + FAR) as daemon:
        daemon.says("usb0 is not served until that changes: there is no interface usb0")
        for time in (1, 2):
            far = add_card("usb0", "10.8.0.1/24", f"far{time}")
            daemon.says("serving usb0 (10.8.0.1, dhcp own)\n", times=time)
            assert "obtained from 10.8.0.1" in far.udhcpc()
            with Links() as links:
                links.remove("usb0")
            daemon.says("usb0 is no longer served", times=time)
            near.forget_address()
            assert "obtained from 10.9.0.1" in near.udhcpc()
        assert daemon.log.count("serving br0") == 1


def test_an_interface_whose_address_changes_is_served_at_the_new_one(tmp_path: Path) -> None:
    make_wire(BRIDGE, "10.9.0.1/24")
    guest = plug_in("guest", MAC)
    with serving(tmp_path, interface(BRIDGE) + NEAR) as daemon:
        run(["ip", "address", "del", "10.9.0.1/24", "dev", BRIDGE])
        daemon.says("br0 is no longer served")
        run(["ip", "address", "add", "10.9.0.3/24", "dev", BRIDGE])
        daemon.says("serving br0 (10.9.0.3, dhcp own)\n")
        assert "obtained from 10.9.0.3" in guest.udhcpc()
        run(["ip", "address", "add", "10.7.0.3/24", "dev", BRIDGE])  # another network's: no business of ours
        run(["ip", "address", "del", "10.9.0.3/24", "dev", BRIDGE])
        daemon.says("no [[subnet]] holds 10.7.0.3")


def test_nobody_to_serve_is_an_error_at_the_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, interface("usb0") + NEAR)
    wait_for(lambda: daemon.child.process.poll() is not None, "end")
    assert daemon.child.process.returncode != 0
    assert "there is no interface usb0" in daemon.log
