"""The daemon as its users run it, `netboot serve` on a configuration file; for tests marked `walls`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from netboot.lab.process import Child, import_path
from netboot.system.commands import run
from tests.lab.dhcp_wire import wait_for

_NETBOOT = (sys.executable, "-m", "netboot")


class Daemon:
    """`netboot serve`, with its files in `folder`."""

    def __init__(self, folder: Path, config: str) -> None:
        self._config, self._data = folder / "netboot.toml", folder / "data"
        self._config.write_text(config)
        self.argv = [
            *(*_NETBOOT, "serve"),
            *("--config", str(self._config), "--data-dir", str(self._data)),
        ]
        self.child = Child.start(
            "the daemon", self.argv, log=folder / "daemon.log", environ={"PYTHONPATH": import_path()}
        )

    @property
    def log(self) -> str:
        return self.child.log.read_text()

    def says(self, text: str, *, times: int = 1) -> None:
        """Wait until the log has `text` so often."""

        def said() -> bool:
            self.child.check()
            return self.log.count(text) >= times

        wait_for(said, text)

    def reload(self, config: str) -> None:
        self._config.write_text(config)
        self.child.process.send_signal(signal.SIGHUP)

    def leases(self) -> Mapping[str, str]:
        """The state of each lease by its address, as `netboot lease list` tells it."""
        argv = [*_NETBOOT, "--data-dir", str(self._data), "lease", "list", "--json"]
        listed = json.loads(run(argv, env={"PYTHONPATH": import_path()}).stdout)
        return {each["address"]: each["state"] for each in listed}

    def stop(self) -> None:
        assert self.child.stop() == 0, self.log
        assert "Traceback" not in self.log, self.log
