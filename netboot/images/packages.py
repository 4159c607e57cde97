"""Which packages a tree holds, as its own package manager tells; a tree of neither kind has none to tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netboot.system.beneath import exists_beneath
from netboot.system.sandbox import run_in

# A file that tells the package manager, and how to ask it for names and versions.
_ASKED: Mapping[str, tuple[str, ...]] = {
    "var/lib/dpkg/status": ("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Version}\n"),
    "usr/lib/sysimage/rpm": ("rpm", "-qa", "--queryformat", "installed %{NAME} %{EVR}\n"),
    "var/lib/rpm": ("rpm", "-qa", "--queryformat", "installed %{NAME} %{EVR}\n"),
}


def installed_packages(tree: Path) -> dict[str, str]:
    """Names and versions; empty when there is no package manager, or it does not answer."""
    argv = next((argv for sign, argv in _ASKED.items() if exists_beneath(tree, sign)), None)
    if argv is None:
        return {}
    return parse_packages(run_in(tree, argv, check=False).stdout)


def parse_packages(listed: str) -> dict[str, str]:
    """Lines of status, name and version; a package that was removed but for its settings is not installed."""
    fields = (line.split(" ") for line in listed.splitlines())
    return {each[1]: each[2] for each in fields if len(each) == 3 and each[0] == "installed"}
