"""The lab's wire and its neighbour, as real links and real programs."""

from __future__ import annotations

import time
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from netboot.errors import Conflict, Unavailable
from netboot.lab.neighbour import start_neighbour
from netboot.lab.network import LabPlan, make_network, plan_lab
from netboot.system.commands import run
from netboot.system.links import Links, create_namespace, remove_namespace

pytestmark = pytest.mark.walls

GUEST = "guest"
INSIDE_GUEST = ("nsenter", f"--net=/run/netns/{GUEST}", "--")


@pytest.fixture
def plan() -> LabPlan:
    plan = plan_lab(2)
    make_network(plan)
    return plan


def plug_in_a_guest(plan: LabPlan) -> None:
    """An ordinary machine on the wire: a namespace of its own with one card, eth0."""
    create_namespace(GUEST)
    with Links() as links:
        links.add_veth("port9", peer="eth0", peer_namespace=GUEST)
        links.attach("port9", bridge=plan.bridge)
        links.set_up("port9")
    with Links(GUEST) as links:
        links.set_up("eth0")


def test_the_plan_becomes_links(plan: LabPlan) -> None:
    with Links() as links:
        assert set(links.names()) == {"lo", "br0", "site0", "tap1", "tap2"}
        bridge = links.get("br0")
        assert bridge.addresses == (plan.server,)
        assert bridge.address == plan.server.ip
        assert bridge.up
        assert len(bridge.mac) == 6
        assert links.get("tap2").address is None
    ports = {each.name for each in Path("/sys/class/net/br0/brif").iterdir()}
    assert ports == {"site0", "tap1", "tap2"}
    with Links(plan.neighbour_namespace) as links:
        assert links.get("site0").addresses == (plan.neighbour,)


def test_links_say_what_is_wrong(plan: LabPlan) -> None:
    with Links() as links:
        assert links.find("eth7") is None
        with pytest.raises(Unavailable, match=r"interfaces here: .*br0"):
            links.get("eth7")
        with pytest.raises(Conflict, match="ip link delete br0"):
            links.add_bridge("br0")
        with pytest.raises(Conflict):
            links.add_address("br0", plan.server)
        links.add_address("br0", IPv4Interface("10.9.1.1/24"))
        assert links.get("br0").address == plan.server.ip  # the first one stays first
        links.remove("tap1")
        assert links.find("tap1") is None
    with pytest.raises(Conflict, match="ip netns delete neighbour"):
        create_namespace(plan.neighbour_namespace)
    remove_namespace(plan.neighbour_namespace)
    create_namespace(plan.neighbour_namespace)


def test_the_rival_lends_an_address_to_a_real_client(plan: LabPlan, tmp_path: Path) -> None:
    plug_in_a_guest(plan)
    udhcpc = ("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-s", "/bin/true")
    with start_neighbour(plan, serves_dhcp=True, directory=tmp_path) as neighbour:
        asked = run([*INSIDE_GUEST, *udhcpc])
        neighbour.check()
    said = asked.stdout + asked.stderr
    assert f"obtained from {plan.neighbour.ip}" in said
    assert "10.9.0.1" in (tmp_path / "neighbour.leases").read_text(encoding="utf-8")


def test_the_router_alone_lends_no_address_but_advertises_its_prefix(plan: LabPlan, tmp_path: Path) -> None:
    plug_in_a_guest(plan)
    udhcpc = ("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "2", "-T", "1", "-s", "/bin/true")
    with start_neighbour(plan, serves_dhcp=False, directory=tmp_path):
        asked = run([*INSIDE_GUEST, *udhcpc], check=False)
        assert asked.exit_code != 0
        assert "obtained" not in asked.stdout + asked.stderr
        wait_for_prefix(plan)


def wait_for_prefix(plan: LabPlan) -> None:
    """The guest's kernel solicits routers by itself and makes an address of what they advertise."""
    prefix = str(plan.neighbour_v6.network.network_address)
    deadline = time.monotonic() + 15
    while prefix not in (shown := run([*INSIDE_GUEST, "ip", "-6", "address", "show", "dev", "eth0"]).stdout):
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)
