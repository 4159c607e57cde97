"""What this machine's apt knows of how to reach its mirror: a system that is built or changed here needs it too."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from netboot.system.commands import run

PROXIES = ("Acquire::http::Proxy", "Acquire::https::Proxy")


_HELPER = "/usr/lib/apt/apt-helper"


def fetch(url: str) -> str:
    """A text from a package archive, by the way in which apt reaches it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text"
        run([_HELPER, "download-file", url, file], timeout_s=120, hint="is the package archive reachable?")
        return file.read_text(encoding="utf-8", errors="replace")


def host_options(*names: str) -> list[str]:
    """The lines of apt.conf(5) that set these options here, and what is below them; none where there is no apt."""
    if not shutil.which("apt-config"):
        return []
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [line for line in lines if line.startswith(names) and not line.endswith(' "";')]
