"""What the appliance tests start with: a server switched on, alone, or on a wire with a client that is still off, or
with versions, deltas and hash trees to try.

All of it lives within walls of the test's own (tests/walls.py).  The server's image is from the recipe beside this
file; the client's is the example.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from netboot.config.paths import DataDir
from netboot.errors import NotFound
from netboot.images.store import ImageStore
from netboot.lab.client import QemuClient
from netboot.lab.lab import DEFAULT_IMAGE
from netboot.lab.neighbour import start_neighbour
from netboot.lab.network import LabPlan, make_wire, plan_lab
from netboot.model.image import Version
from netboot.model.names import VersionRef
from netboot.system.commands import run
from tests.appliance.disk import SERVER, TOOLS, add_client, add_tools, configuration, make_disk
from tests.appliance.machine import Appliance, make_machine
from tests.appliance.stock import Stock, make_stock
from tests.kit import cannot_run
from tests.lab.dhcp_wire import HOOK
from tests.walls import pytest_configure, pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_runtest_protocol"]

_RECIPES = Path(__file__).parent / "images"

# Debian 12's, which is to import the libraries of the Python that runs the tests.
_PYTHON = (3, 11)

_BUILD_OWN = f"netboot image build appliance --recipes {_RECIPES}"
_BOOT_S = 240.0


@dataclass(frozen=True)
class Site:
    """A server, already on, and a client of it."""

    plan: LabPlan
    server: Appliance
    client: QemuClient


@dataclass(frozen=True)
class IscsiSite:
    """A server, already on, a client of it, and the version that the one shall serve to the other."""

    server: Appliance
    client: QemuClient
    version: Version


@dataclass(frozen=True)
class Workbench:
    """A server, on and in the folder with all of `stock`; two more of its disks, which can be read here as well.

    `snapshot`, its /dev/vdc, is empty; `origin`, its /dev/vdd, holds the first version.
    """

    server: Appliance
    stock: Stock
    snapshot: Path
    origin: Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    client_image = _image(DEFAULT_IMAGE)
    plan = plan_lab(2)
    client = make_machine(plan.seats[1], tmp_path)
    add_client(tmp_path / "disk", plan.seats[1], client_image)
    with _server(plan, tmp_path, configuration(plan, backend="kernel")) as server:
        try:
            yield Site(plan, server, client)
        finally:
            client.stop()


@pytest.fixture
def iscsi_site(tmp_path: Path) -> Iterator[IscsiSite]:
    """A server that shall serve the client's image by iSCSI; whoever asks it is on the wire here, at 10.9.0.250."""
    image = _image(DEFAULT_IMAGE)
    plan = plan_lab(2)
    client = make_machine(plan.seats[1], tmp_path)
    add_client(tmp_path / "disk", plan.seats[1], image, "--root", "iscsi")
    add_tools(tmp_path / "disk", SERVER / "targets.py")
    with _server(plan, tmp_path, configuration(plan, backend="kernel", iscsi="lio")) as server:
        if server.machine.console.command("targetcli --version", timeout_s=60).status != 0:
            cannot_run(f"the image appliance has no targetcli; build it anew: {_BUILD_OWN}")
        run(["ip", "address", "add", "10.9.0.250/24", "dev", plan.bridge])
        try:
            yield IscsiSite(server, client, image)
        finally:
            client.stop()


@pytest.fixture
def trunk_server(tmp_path: Path) -> Iterator[Appliance]:
    """A server at a switch's trunk, all of which, the client at its other end too, is within the machine."""
    add_tools(tmp_path / "disk", SERVER / "vlans", SERVER / "witness.py", HOOK)
    with _server(plan_lab(1), tmp_path, (SERVER / "vlans.toml").read_text(encoding="utf-8")) as server:
        server.run(f"{TOOLS}/vlans")
        yield server


@contextmanager
def _server(plan: LabPlan, folder: Path, config: str) -> Iterator[Appliance]:
    """The server of the plan's first seat, switched on; the folder `disk` has what its disk shall have besides."""
    image = _own_image()
    if sys.version_info[:2] != _PYTHON:
        cannot_run(f"the appliance's Python is {_PYTHON} and cannot import this one's libraries")
    disk = folder / "disk.raw"
    make_wire(plan)
    make_disk(disk, folder / "disk", config)
    server = Appliance(plan.seats[0], folder, image=image, disks=[disk])
    with start_neighbour(plan, serves_dhcp=False, directory=folder):
        try:
            server.start(timeout_s=_BOOT_S)
            server.furnish(plan)
            yield server
        finally:
            print(server.last_words())
            server.machine.stop()
            disk.unlink()  # pytest keeps the folder, for the consoles in it


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    plan = plan_lab(1)
    make_wire(plan)
    disks = [tmp_path / name for name in ("files.raw", "snapshot.raw", "origin.raw")]
    stock = make_stock(tmp_path / "stock")
    run(["mkfs.ext4", "-q", "-d", stock.folder, disks[0], "512M"])
    with disks[1].open("wb") as snapshot:
        snapshot.truncate(64 << 20)
    run(["cp", "--sparse=always", stock.folder / "a", disks[2]])
    server = Appliance(plan.seats[0], tmp_path, image=_own_image(), disks=disks)
    try:
        server.start(timeout_s=_BOOT_S)
        if server.machine.console.command("dmsetup version && veritysetup --version", timeout_s=60).status != 0:
            cannot_run(f"the image appliance has no dmsetup; build it anew: {_BUILD_OWN}")
        server.run("mount /dev/vdb /mnt && cd /mnt && dmesg --console-off")
        yield Workbench(server, stock, snapshot=disks[1], origin=disks[2])
    finally:
        server.machine.stop()
        for disk in disks:
            disk.unlink(missing_ok=True)
        shutil.rmtree(stock.folder)


def _own_image() -> Version:
    return _image(VersionRef("appliance"), f" --recipes {_RECIPES}")


def _image(ref: VersionRef, recipes: str = "") -> Version:
    images = DataDir.find(None, None).images
    try:
        return ImageStore(images).get(ref)
    except NotFound:
        cannot_run(f"no image {ref} in {images}; build it: netboot image build {ref}{recipes}")
