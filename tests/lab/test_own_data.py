"""What is a client's own, asked for on a wire: `netboot serve` with its DHCP, HTTP and NFS, and two machines."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from netboot.model.mac import MacAddress
from netboot.system.mounts import mounted, unmount
from tests.cli_kit import publish_image
from tests.initramfs_kit import LOAD
from tests.kit import MAC, OTHER_MAC
from tests.lab.dhcp_wire import Guest, make_wire, plug_in, wait_for
from tests.lab.test_daemon import config
from tests.lab.whole_daemon import Daemon
from tests.personal_kit import contents, write

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


def boot(guest: Guest, mac: MacAddress, folder: Path) -> Path:
    """The root of the guest after its initramfs's own scripts have put in place what they fetched.

    This kernel cannot mount NFS, so the export is shown by a bind mount.
    """
    root, run = folder / "root", folder / "run"
    for place in ("root/etc", "root/home", "run"):
        (folder / place).mkdir(parents=True)
    (root / "home/from-image").write_text("")
    (folder / "cmdline").write_text(f"netboot.data=http://10.9.0.1:8080/boot/{mac.dashed}/data\n")
    mount = 'nb_mount_nfs() { mount -o bind "${1#*:}" "$2"; }'
    script = f"{LOAD}; {mount}; nb_fetch_data && nb_place_data {root} || cat {run}/mount.log"
    env = {"PATH": os.environ["PATH"], "NB_CMDLINE": str(folder / "cmdline"), "NB_RUN": str(run)}
    done = subprocess.run(guest.argv("dash", "-c", script), env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")
    return root


def switch_off(folder: Path) -> None:
    unmount(folder / "root/home")
    unmount(folder / "run/persist")


def test_a_machine_keeps_from_boot_to_boot_what_it_shall_and_has_the_same_keys(tmp_path: Path) -> None:
    make_wire()
    publish_image(tmp_path / "data")
    files = write(tmp_path / "files", {"all/root/etc/motd.j2": "{{ hostname }}\n"})
    daemon = Daemon(tmp_path, config("own") + f'[boot]\ntimezone = "UTC"\nfiles = "{files}"\n')
    daemon.says("images by ganesha")
    daemon.ask("client", "add", str(MAC), "--name", "one", "--image", "debian", "--persist", "/home")
    one = plug_in("one", MAC)
    one.udhcpc(*FIRMWARE)

    first = boot(one, MAC, tmp_path / "first")
    key = "etc/ssh/ssh_host_rsa_key"
    assert stat.S_IMODE((first / key).stat().st_mode) == 0o600
    assert str((first / "etc/localtime").readlink()) == "/usr/share/zoneinfo/UTC"
    assert (first / "etc/motd").read_text() == "one\n"
    (first / "home/kim").write_text("kept")
    (first / "home/kim").chmod(0o640)
    switch_off(tmp_path / "first")
    daemon.child.signal(signal.SIGKILL)
    daemon.child.process.wait()

    # Another daemon, and another boot.
    daemon = Daemon(tmp_path, config("own") + f'[boot]\nfiles = "{files}"\n')
    daemon.says("images by ganesha")
    one.udhcpc(*FIRMWARE)
    second = boot(one, MAC, tmp_path / "second")
    assert sorted(each.name for each in (second / "home").iterdir()) == ["from-image", "kim"]
    assert (second / "home/kim").read_text() == "kept"
    assert stat.S_IMODE((second / "home/kim").stat().st_mode) == 0o640
    assert (second / key).read_bytes() == (first / key).read_bytes()
    assert not (second / "etc/localtime").exists()
    switch_off(tmp_path / "second")
    daemon.stop()


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
