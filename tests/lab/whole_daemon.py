"""The daemon as its users run it, `netboot serve` on a configuration file; for tests marked `walls`."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netboot.lab.process import Child, import_path
from netboot.system.commands import run
from tests.lab.dhcp_wire import wait_for

_NETBOOT = (sys.executable, "-m", "netboot")


class Daemon:
    """`netboot serve`, with its files in `folder`; another one there goes on with the same data."""

    def __init__(self, folder: Path, config: str) -> None:
        self._config, self._data = folder / "netboot.toml", folder / "data"
        self._config.write_text(config)
        self.argv = [
            *(*_NETBOOT, "serve"),
            *("--config", str(self._config), "--data-dir", str(self._data)),
        ]
        log = folder / f"daemon-{time.monotonic_ns()}.log"
        self.child = Child.start("the daemon", self.argv, log=log, environ={"PYTHONPATH": import_path()})

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
        return {each["address"]: each["state"] for each in json.loads(self.ask("lease", "list", "--json"))}

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """What was told of a kind, as `netboot events` tells it."""
        every = map(json.loads, self.ask("events", "--json", "--limit", "10000").splitlines())
        return [each for each in every if each["kind"] == kind]

    def ask(self, *words: str) -> str:
        """What a command on the daemon's data says; `CommandFailed` when it fails."""
        argv = [*_NETBOOT, "--data-dir", str(self._data), *words]
        return run(argv, env={"PYTHONPATH": import_path()}).stdout

    def stop(self) -> None:
        assert self.child.stop() == 0, self.log
        assert "Traceback" not in self.log, self.log
