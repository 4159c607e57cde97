"""Where things lie: the text files that ship with the program, and the folders of the data directory.

In a checkout `templates/` and `images/` stand beside the package; an installed wheel carries them inside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import netboot

DATA_DIR_VARIABLE = "NETBOOT_DATA_DIR"
DEFAULT_DATA_DIR = Path("/var/lib/netboot")

_PACKAGE = Path(netboot.__file__).parent


def templates_dir() -> Path:
    """The templates that ship with the program."""
    return _shared("templates")


def recipes_dir() -> Path:
    """The image recipes that ship with the program, one folder each."""
    return _shared("images")


def _shared(name: str) -> Path:
    installed = _PACKAGE / "share" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data directory; nothing is written outside of it."""

    root: Path

    @classmethod
    def find(cls, named: Path | None, configured: Path | None, environ: Mapping[str, str] = os.environ) -> DataDir:
        """The one named on the command line, else by the environment, else in the configuration, else the default."""
        variable = environ.get(DATA_DIR_VARIABLE)
        root = named or (Path(variable) if variable else None) or configured or DEFAULT_DATA_DIR
        return cls(root.absolute())

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def loaders(self) -> Path:
        return self.root / "loaders"

    @property
    def clients(self) -> Path:
        """What is each client's own, by MAC address."""
        return self.root / "clients"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Held by the daemon that serves from here; in it stands the configuration file that it was started with."""
        return self.run / "lock"

    @property
    def lab(self) -> Path:
        return self.root / "lab"

    @property
    def cache(self) -> Path:
        return self.root / "cache"
