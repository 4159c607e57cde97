"""The daemon as its users run it, `netboot serve` on a configuration file; for tests marked `walls`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from netboot.lab.process import Child, import_path
from tests.lab.dhcp_wire import wait_for


class Daemon:
    """`netboot serve`, with its files in `folder`."""

    def __init__(self, folder: Path, config: str) -> None:
        self._config = folder / "netboot.toml"
        self._config.write_text(config)
        self.argv = [
            *(sys.executable, "-m", "netboot", "serve"),
            *("--config", str(self._config), "--data-dir", str(folder / "data")),
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

    def stop(self) -> None:
        assert self.child.stop() == 0, self.log
        assert "Traceback" not in self.log, self.log
