"""dnsmasq as the rival on our wire: it is overheard, told of, and named as the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netboot.boot.progress import verdict
from netboot.config import DhcpMode
from netboot.dhcp.message import MessageType, decode, encode
from netboot.lab.neighbour import rival_argv
from netboot.lab.network import LabPlan, make_network, plan_lab
from netboot.lab.process import Child
from netboot.model.boot import Boot, Outcome
from netboot.model.event import Event, EventKind
from tests.dhcp_kit import LAB, UEFI, discover, selecting
from tests.kit import OTHER_MAC
from tests.lab.dhcp_wire import Daemon, Guest, plug_in, wait_for

pytestmark = pytest.mark.walls

EVERYONE = ("255.255.255.255", 67)


@pytest.fixture
def plan() -> LabPlan:
    plan = plan_lab(1)
    make_network(plan)
    return plan


@contextmanager
def rival(plan: LabPlan, folder: Path, *more: str) -> Iterator[None]:
    argv = [*rival_argv(plan, leases=folder / "rival.leases"), *more]
    with Child.start("the rival", argv, log=folder / "rival.log") as child:
        wait_for(lambda: "started" in child.log.read_text(), "rival")
        yield


def ask(guest: Guest, expected: int = 2) -> dict[str, bytes]:
    """The boot files of all offers to one DISCOVER, by who made them."""
    with guest.socket() as sock:
        sock.sendto(encode(discover(UEFI, flags=0x8000)), EVERYONE)
        found = [sock.recvfrom(4096) for _ in range(expected)]
    offers = {source[0]: decode(data) for data, source in found}
    return {who: offer.file or offer.options.get(67, b"").rstrip(b"\0") for who, offer in offers.items()}


def story(daemon: Daemon) -> Boot:
    events = [
        Event(at=float(at), kind=EventKind(each["kind"]), mac=LAB.mac, details=dict(each))
        for at, each in enumerate(daemon.events())
        if each["mac"] == str(LAB.mac)
    ]
    return Boot(id=1, mac=LAB.mac, events=tuple(events))


def test_a_router_that_sends_a_boot_file_is_named_as_the_cause(plan: LabPlan, tmp_path: Path) -> None:
    guest, them = plug_in("guest", LAB.mac), str(plan.neighbour.ip)
    with rival(plan, tmp_path, "--dhcp-boot=pxelinux.0"):
        daemon = Daemon.start(tmp_path, DhcpMode.PROXY)
        assert ask(guest)[them] == b"pxelinux.0"
        wait_for(lambda: len(daemon.events("foreign-boot-server")) == 2, "warnings")
        of_server, of_client = daemon.events("foreign-boot-server")
        assert (of_server["mac"], of_client["mac"]) == ("None", str(LAB.mac))
        assert of_server["server"] == them
        assert of_server["sent"] == f"the boot file pxelinux.0 of {them}"
        assert f"another DHCP server, {them}, sends the boot file pxelinux.0" in daemon.log
        ask(guest)
        assert len([each for each in daemon.events("foreign-boot-server") if each["mac"] == "None"]) == 1
        daemon.stop()
    found = verdict(story(daemon), now=1e6)
    assert found.outcome is Outcome.STALLED
    assert f"another server, {them}, told the client what to boot as well" in found.cause


def test_a_second_dhcp_server_is_told_of_where_the_addresses_are_ours(plan: LabPlan, tmp_path: Path) -> None:
    guest, them = plug_in("guest", LAB.mac), str(plan.neighbour.ip)
    with rival(plan, tmp_path):
        daemon = Daemon.start(tmp_path, DhcpMode.OWN)
        ask(guest)
        wait_for(lambda: daemon.events("foreign-dhcp-server"), "warning")
        assert f"another DHCP server, {them}, sends the address 10.9.0.1" in daemon.log
        with guest.socket() as sock:
            sock.sendto(encode(selecting("10.9.0.150", UEFI, server=plan.neighbour.ip, flags=0x8000)), EVERYONE)
            assert decode(sock.recv(4096)).type is MessageType.ACK
        wait_for(lambda: daemon.events("requested"), "event")
        daemon.stop()
    assert "lends addresses here too" in verdict(story(daemon), now=1e6).cause


def test_a_server_that_only_lends_addresses_is_what_a_proxy_works_beside(plan: LabPlan, tmp_path: Path) -> None:
    guest, other = plug_in("guest", LAB.mac), plug_in("other", OTHER_MAC)
    with rival(plan, tmp_path, f"--dhcp-boot=,,{plan.server.ip}"):
        daemon = Daemon.start(tmp_path, DhcpMode.PROXY)
        other.udhcpc("-B")
        ask(guest)
        (offered,) = wait_for(lambda: daemon.events("address-offered"), "event")
        assert (offered["mac"], offered["server"]) == (str(LAB.mac), str(plan.neighbour.ip))
        assert not daemon.events("foreign-boot-server")
        daemon.stop()
    assert "another DHCP server" not in daemon.log


def test_a_client_that_nobody_lends_an_address(plan: LabPlan, tmp_path: Path) -> None:
    guest = plug_in("guest", LAB.mac)
    daemon = Daemon.start(tmp_path, DhcpMode.PROXY)
    ask(guest, expected=1)
    wait_for(lambda: daemon.events("offered"), "offer")
    daemon.stop()
    assert "no DHCP server was seen to lend it an address" in verdict(story(daemon), now=1e6).cause
