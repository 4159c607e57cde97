"""What this machine's apt knows of how to reach its mirror: a system that is built or changed here needs it too."""

from __future__ import annotations

import shutil

from netboot.system.commands import run

PROXIES = ("Acquire::http::Proxy", "Acquire::https::Proxy")


def host_options(*names: str) -> list[str]:
    """The lines of apt.conf(5) that set these options here, and what is below them; none where there is no apt."""
    if not shutil.which("apt-config"):
        return []
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [line for line in lines if line.startswith(names) and not line.endswith(' "";')]
