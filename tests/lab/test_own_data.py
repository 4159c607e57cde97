"""What is a client's own, asked for on a wire: `netboot serve` with its DHCP, HTTP and NFS, and two machines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from netboot.model.mac import MacAddress
from netboot.system.mounts import mounted
from tests.cli_kit import publish_image
from tests.kit import MAC, OTHER_MAC
from tests.lab.dhcp_wire import BRIDGE, Guest, make_wire, plug_in, wait_for
from tests.lab.test_daemon import config
from tests.lab.whole_daemon import Daemon
from tests.personal_kit import contents

pytestmark = pytest.mark.walls

# As UEFI firmware asks: architecture 7 in option 93.
FIRMWARE = ("-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007")


def fetch(guest: Guest, mac: MacAddress, folder: Path) -> tuple[int, bytes]:
    """Status and body of what the guest gets for this client's data."""
    url, file = f"http://10.9.0.1:8080/boot/{mac.dashed}/data", folder / "fetched"
    done = subprocess.run(
        guest.argv("curl", "-s", "-m", "60", "-o", str(file), "-w", "%{http_code}", url), capture_output=True, text=True
    )
    return int(done.stdout), file.read_bytes()


def test_a_booting_machine_has_what_is_its_own_and_no_other_has(tmp_path: Path) -> None:
    make_wire()
    data = tmp_path / "data"
    publish_image(data)
    daemon = Daemon(tmp_path, config("own") + '[boot]\ntimezone = "UTC"\n')
    daemon.says("images by ganesha")
    for name, mac in (("one", MAC), ("two", OTHER_MAC)):
        words = ("--image", "debian", "--persist", "/home", "--persist-size", "16m")
        daemon.ask("client", "add", str(mac), "--name", name, *words)
    one, two = plug_in("one", MAC), plug_in("two", OTHER_MAC)

    # A machine that has an address as any system has is not one that boots.
    one.udhcpc()
    assert fetch(one, MAC, tmp_path)[0] == 403
    one.udhcpc(*FIRMWARE)
    two.udhcpc(*FIRMWARE)
    status, archive = fetch(one, MAC, tmp_path)
    assert status == 200
    found = contents(archive)
    place = data / "exports/.clients" / MAC.dashed
    assert found["persist"] == f"10.9.0.1:{place}\n/home\n"
    assert found["files/etc/timezone"] == "UTC\n"
    assert "PRIVATE KEY" in found["files/etc/ssh/ssh_host_ed25519_key"]
    assert mounted(place) is not None
    ganesha = data / "run/ganesha.conf"
    assert f"Clients = {one.address()}/32;\n        Access_Type = RW;" in ganesha.read_text()
    (kept,) = json.loads(daemon.ask("client", "data", "list", "--json"))
    assert (kept["name"], kept["has_keys"], kept["size_bytes"], kept["is_mounted"]) == ("one", True, 16 << 20, True)

    status, said = fetch(two, MAC, tmp_path)
    assert status == 403
    assert f"lent to {OTHER_MAC}".encode() in said
    assert contents(fetch(two, OTHER_MAC, tmp_path)[1])["persist"] != found["persist"]

    # Its root is mounted: from now on a program there is refused.
    report = f"http://10.9.0.1:8080/boot/{MAC.dashed}/report"
    subprocess.run(one.argv("curl", "-sf", "--data", "kind=root-mounted", report), check=True)
    assert fetch(one, MAC, tmp_path)[0] == 403

    # The other takes its address: it is neither told anything, nor left what was exported there.
    one.udhcpc(*FIRMWARE)
    address = one.address()
    assert address is not None
    one.forget_address()
    two.forget_address()
    two.add_address(address)
    status, said = fetch(two, MAC, tmp_path)
    assert status == 403
    assert f"{OTHER_MAC} is at the address".encode() in said
    daemon.says(f"{address} is no longer the address of client {MAC}")
    wait_for(lambda: f"{address}/32" not in ganesha.read_text(), "withdrawal")
    refused = [(each["mac"], each["details"]["address"]) for each in daemon.events("data-refused")]
    assert len(refused) == 4
    assert {mac for mac, _ in refused} == {str(MAC)}
    daemon.stop()
    assert mounted(place) is None
    assert BRIDGE in daemon.log
