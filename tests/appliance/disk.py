"""The server's disk: a raw ext4 file system with the program, its libraries, the configuration, and images if any.

It is what an admin would have in /opt/netboot after `git clone` and `make setup`, made without mounting anything:
large folders are shown in a staging folder by read-only bind mounts, and mkfs.ext4 copies what it finds there.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

import netboot
from netboot.config.paths import DataDir, templates_dir
from netboot.lab.config import LabDhcp, daemon_config
from netboot.lab.kvm import Accelerator
from netboot.lab.lab import KERNEL_ARGS
from netboot.lab.network import LabPlan, Seat
from netboot.lab.process import import_path
from netboot.model.image import Version
from netboot.system.commands import run
from netboot.system.mounts import bind_read_only

# Where the appliance has the disk.
HOME = PurePosixPath("/opt/netboot")
DATA = HOME / "data"
TOOLS = HOME / "tools"
SERVER = Path(__file__).parent / "server"

_SIZE = "4G"
_SERVICE_PAGE = Path(__file__).parents[2] / "docs" / "service.md"
_INI_BLOCK = re.compile(r"^```ini\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def make_disk(file: Path, stage: Path, config: str) -> None:
    """Write the disk to `file`, with what already lies in the folder `stage`, and the configuration `config`."""
    _show(Path(netboot.__file__).parent, stage / "netboot")
    _show(templates_dir(), stage / "templates")
    _copy_libraries(stage / ".venv/lib")
    _install(SERVER / "netboot", stage / ".venv/bin/netboot")
    _furnish_etc(stage / "etc", config)
    (stage / "foreign").mkdir()
    run(["mkfs.ext4", "-q", "-d", stage, file, _SIZE], timeout_s=300)


def add_client(stage: Path, client: Seat, image: Version, *more: str) -> None:
    """Lay `image` into the disk's folder, and a database that knows `client`, which boots it by the options `more`."""
    data = stage / "data"
    _show(image.root.path.parent, DataDir(data).images / image.image / str(image.number))
    words = [word for each in KERNEL_ARGS for word in ("--kernel-arg", each)]
    words += ["--name", client.name, "--image", image.label, "--data-dir", str(data), *more]
    argv = [sys.executable, "-m", "netboot", "client", "add", str(client.mac), *words]
    run(argv, env={"PYTHONPATH": import_path()})


def add_tools(stage: Path, *tools: Path) -> None:
    """Lay programs for the test into the disk's folder, in `TOOLS`."""
    for tool in tools:
        _install(tool, stage / TOOLS.relative_to(HOME) / tool.name)


def _furnish_etc(etc: Path, config: str) -> None:
    """What the server gets laid over its own /etc."""
    _install(SERVER / "exports", etc / "exports")
    _install(SERVER / "short-lease.conf", etc / "nfs.conf.d/short-lease.conf")
    unit = etc / "systemd/system/netboot.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(documented_unit(), encoding="utf-8")
    (etc / "netboot.toml").write_text(config, encoding="utf-8")


def configuration(plan: LabPlan, *, backend: str, iscsi: str = "auto") -> str:
    """The lab's configuration, for a daemon whose interface is a card of its own."""
    wire = daemon_config(plan, LabDhcp.OWN, data_dir=Path(DATA), accelerator=Accelerator.TCG)
    return wire.replace(f'"{plan.bridge}"', '"eth0"') + f'\n[exports]\nbackend = "{backend}"\niscsi = "{iscsi}"\n'


def documented_unit() -> str:
    """The unit that docs/service.md tells people to install."""
    found = _INI_BLOCK.search(_SERVICE_PAGE.read_text(encoding="utf-8"))
    assert found, f"{_SERVICE_PAGE} shows no unit"
    return found.group(1)


def _show(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    bind_read_only(source, target)


def _install(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _copy_libraries(target: Path) -> None:
    for each in _needed(distribution("netboot")):
        for file in each.files or ():
            # Programs of a package lie outside, as ../../../bin/name.
            if ".." not in file.parts:
                _install(Path(str(file.locate())), target / file)


def _needed(dependent: Distribution) -> Iterator[Distribution]:
    """What it requires here, and what that requires; some more than once."""
    for requirement in map(Requirement, dependent.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed = distribution(requirement.name)
            yield needed
            yield from _needed(needed)
