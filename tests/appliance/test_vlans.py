"""VLAN devices, with a kernel that has them: each network is served at its own device, and frames keep their tags.

The client is BusyBox, in a network namespace of the appliance at the other end of a trunk.
"""

from __future__ import annotations

import json
import re

import pytest

from netboot.errors import Unavailable
from tests.appliance.disk import DATA, HOME, TOOLS
from tests.appliance.machine import Appliance
from tests.appliance.test_kernel_nfs import START_S
from tests.lab.dhcp_wire import HOOK

pytestmark = [pytest.mark.walls, pytest.mark.timeout(600)]

# The client's card and the network that it is on there.
NETWORKS = {"eth0": 41, "eth0.42": 42, "eth0.43": 43}
AS_FIRMWARE = "-V PXEClient:Arch:00007:UNDI:003016 -x 0x5d:0007"
LOADER = "ipxe/snponly.efi"


def test_each_vlan_is_served_at_its_own_device_with_its_own_tag(trunk_server: Appliance) -> None:
    server = trunk_server
    assert "8021q" in server.run("cat /proc/modules")
    server.run("systemctl start netboot", timeout_s=START_S)
    on_client(server, f"{TOOLS}/witness.py eth0 > /run/witness 2>&1 & echo $! > /run/witness.pid; disown")

    for card, number in NETWORKS.items():
        address = f"10.{number}.0.1"
        lease = on_client(server, lease_of(card))
        assert re.search(rf"lease of 10\.{number}\.0\.1\d\d obtained from {re.escape(address)}", lease), lease
        on_client(server, f"busybox tftp -g -r {LOADER} -l /run/loader {address}")
        server.run("cmp /run/loader /usr/lib/ipxe/snponly.efi")
        script = on_client(server, f"busybox wget -q -O - http://{address}:8080/boot/{mac(server, card)}/ipxe")
        assert script.startswith("#!ipxe"), script
        assert named_addresses(script) <= {address}, script
    with pytest.raises(Unavailable, match="no lease"):
        on_client(server, lease_of("eth0.44"))

    server.run("kill $(cat /run/witness.pid)")
    seen = {tuple(line.split()) for line in server.run("sort -u /run/witness").splitlines()}
    assert seen == {("0", "10.41.0.1"), ("42", "10.42.0.1"), ("43", "10.43.0.1")}
    assert acknowledged(server) == len(NETWORKS)


def on_client(server: Appliance, command: str) -> str:
    return server.run(f"ip netns exec client {command}")


def lease_of(card: str) -> str:
    """Asked as firmware asks, since the story of a boot is what the daemon tells of."""
    return f"busybox udhcpc -i {card} {AS_FIRMWARE} -f -q -n -t 4 -T 2 -s {TOOLS / HOOK.name} 2>&1"


def mac(server: Appliance, card: str) -> str:
    return on_client(server, f"cat /sys/class/net/{card}/address").strip().replace(":", "-")


def named_addresses(script: str) -> set[str]:
    return set(re.findall(r"10\.\d+\.0\.\d+", script))


def acknowledged(server: Appliance) -> int:
    """How often the daemon said yes: once for each lease, so no request was heard on two interfaces."""
    told = server.run(f"{HOME}/.venv/bin/netboot events --json --data-dir {DATA}", timeout_s=START_S)
    return sum(json.loads(line)["kind"] == "acked" for line in told.splitlines())
