"""The daemon's life, for real: start, reload, a second one, stop."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netboot.boot.loops import TIMES
from netboot.system.commands import CommandFailed, run
from tests.kit import MAC
from tests.lab.dhcp_wire import BRIDGE, make_wire, plug_in, wait_for
from tests.lab.whole_daemon import Daemon

pytestmark = pytest.mark.walls

CONFIG = """
[[interface]]
name = "{interface}"
dhcp = "{dhcp}"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100-10.9.0.110"
"""


def config(dhcp: str, interface: str = BRIDGE) -> str:
    return CONFIG.format(interface=interface, dhcp=dhcp)


def serving(folder: Path, dhcp: str) -> Daemon:
    daemon = Daemon(folder, config(dhcp))
    daemon.says(f"serving {BRIDGE} (10.9.0.1, dhcp {dhcp})")
    return daemon


def test_modes_are_switched_by_a_reload_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    make_wire()
    guest = plug_in("guest", MAC)
    daemon = serving(tmp_path, "off")
    daemon.reload(config("own"))
    daemon.says("dhcp own)")
    guest.udhcpc()
    assert guest.address() is not None
    daemon.reload(config("both"))
    daemon.says("not reloaded, all stays as it was")
    daemon.reload(config("own", interface="nowhere"))
    daemon.says("there is no interface nowhere")
    guest.forget_address()
    guest.udhcpc()
    assert guest.address() is not None
    daemon.reload(config("proxy"))
    daemon.says("dhcp proxy)")
    daemon.stop()


def test_a_machine_that_fetches_its_loader_over_and_over_is_told_of(tmp_path: Path) -> None:
    make_wire()
    guest = plug_in("guest", MAC)
    daemon = serving(tmp_path, "own")
    guest.udhcpc()
    for _ in range(TIMES):
        fetch = ("atftp", "-g", "-r", "ipxe/snponly.efi", "-l", str(tmp_path / "loader"), "10.9.0.1")
        run(guest.argv(*fetch))
    (alarm,) = wait_for(lambda: daemon.events("loader-loops"), "the alarm")
    assert alarm["mac"] == str(MAC)
    assert "ipxe/snponly.efi" in str(alarm["details"])
    daemon.stop()


def test_a_second_daemon_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    make_wire()
    daemon = serving(tmp_path, "own")
    second = subprocess.run(daemon.argv, capture_output=True, text=True, timeout=60)
    assert second.returncode == 4
    assert f"another netboot serves from {tmp_path / 'data'}" in second.stderr
    daemon.child.check()
    daemon.stop()


def test_commands_know_the_file_that_the_daemon_serves_by(tmp_path: Path) -> None:
    make_wire()
    reserved = '[[reservation]]\naddress = "10.9.0.105"\nclient_id = "kiosk"\n'
    daemon = Daemon(tmp_path, config("own") + reserved)
    daemon.says("images by")
    with pytest.raises(CommandFailed, match="reserved for client_id kiosk"):
        daemon.ask("client", "add", str(MAC), "--name", "a", "--address", "10.9.0.105")
    daemon.ask("client", "add", str(MAC), "--name", "a", "--address", "10.9.0.106")
    daemon.stop()


def test_a_damaged_version_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    make_wire()
    damaged = tmp_path / "data/images/broken/1"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("no JSON")
    daemon = serving(tmp_path, "own")
    assert "a version cannot be exported" in daemon.log
    daemon.stop()
