"""The daemon's life, for real: start, reload, a second one, stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netboot.boot.loops import TIMES
from netboot.lab.process import Child, import_path
from netboot.system.commands import run
from tests.kit import MAC
from tests.lab.dhcp_wire import BRIDGE, make_wire, plug_in, wait_for

pytestmark = pytest.mark.walls

CONFIG = """
[[interface]]
name = "{interface}"
dhcp = "{dhcp}"

[[subnet]]
network = "10.9.0.0/24"
pool = "10.9.0.100-10.9.0.110"
"""


def write(folder: Path, dhcp: str, interface: str = BRIDGE) -> Path:
    file = folder / "netboot.toml"
    file.write_text(CONFIG.format(interface=interface, dhcp=dhcp))
    return file


def serve(folder: Path, config: Path) -> list[str]:
    return [sys.executable, "-m", "netboot", "serve", "--config", str(config), "--data-dir", str(folder / "data")]


class Daemon:
    def __init__(self, folder: Path, dhcp: str) -> None:
        self.folder = folder
        self.child = Child.start(
            "the daemon",
            serve(folder, write(folder, dhcp)),
            log=folder / "daemon.log",
            environ={"PYTHONPATH": import_path()},
        )
        self.says(f"serving {BRIDGE} (10.9.0.1, dhcp {dhcp})")

    @property
    def log(self) -> str:
        return self.child.log.read_text()

    def says(self, text: str) -> None:
        """Wait until the log has `text`."""

        def said() -> bool:
            self.child.check()
            return text in self.log

        wait_for(said, text)

    def reload(self, dhcp: str, interface: str = BRIDGE) -> None:
        write(self.folder, dhcp, interface)
        self.child.process.send_signal(signal.SIGHUP)


def test_modes_are_switched_by_a_reload_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    make_wire()
    guest = plug_in("guest", MAC)
    daemon = Daemon(tmp_path, "off")
    daemon.reload("own")
    daemon.says("dhcp own)")
    guest.udhcpc()
    assert guest.address() is not None
    daemon.reload("both")
    daemon.says("not reloaded, all stays as it was")
    daemon.reload("own", interface="nowhere")
    daemon.says("there is no interface nowhere")
    guest.forget_address()
    guest.udhcpc()
    assert guest.address() is not None
    daemon.reload("proxy")
    daemon.says("dhcp proxy)")
    assert daemon.child.stop() == 0
    assert "Traceback" not in daemon.log


def test_a_machine_that_fetches_its_loader_over_and_over_is_told_of(tmp_path: Path) -> None:
    make_wire()
    guest = plug_in("guest", MAC)
    daemon = Daemon(tmp_path, "own")
    guest.udhcpc()
    for _ in range(TIMES):
        fetch = ("atftp", "-g", "-r", "ipxe/snponly.efi", "-l", str(tmp_path / "loader"), "10.9.0.1")
        run(guest.argv(*fetch))
    netboot = [sys.executable, "-m", "netboot", "--data-dir", str(tmp_path / "data"), "events", "--json"]

    def told() -> list[str]:
        lines = run(netboot, env={"PYTHONPATH": import_path()}).stdout
        return [line for line in lines.splitlines() if "loader-loops" in line]

    (alarm,) = wait_for(told, "the alarm")
    assert str(MAC) in alarm
    assert "ipxe/snponly.efi" in alarm
    assert daemon.child.stop() == 0


def test_a_second_daemon_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    make_wire()
    daemon = Daemon(tmp_path, "own")
    second = subprocess.run(serve(tmp_path, tmp_path / "netboot.toml"), capture_output=True, text=True, timeout=60)
    assert second.returncode == 4
    assert f"another netboot serves from {tmp_path / 'data'}" in second.stderr
    daemon.child.check()
    assert daemon.child.stop() == 0


def test_a_damaged_version_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    make_wire()
    damaged = tmp_path / "data/images/broken/1"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("no JSON")
    daemon = Daemon(tmp_path, "own")
    assert "a version cannot be exported" in daemon.log
    assert daemon.child.stop() == 0
