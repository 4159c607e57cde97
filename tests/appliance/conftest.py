"""What the appliance tests start with: a server switched on, its wire, and a client that is still off; or a server
with versions, deltas and hash trees to try.

All of it lives within walls of the test's own (tests/walls.py).  Two images are needed: the client's, which is the
example, and the server's, from the recipe beside this file.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
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
from tests.appliance.disk import make_disk
from tests.appliance.machine import Appliance, make_machine
from tests.appliance.stock import Stock, make_stock
from tests.kit import cannot_run
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
    own_image = _own_image()
    client_image = _image(DEFAULT_IMAGE)
    if sys.version_info[:2] != _PYTHON:
        cannot_run(f"the appliance's Python is {_PYTHON} and cannot import this one's libraries")
    plan, disk = plan_lab(2), tmp_path / "disk.raw"
    make_wire(plan)
    make_disk(disk, tmp_path / "disk", plan=plan, client=plan.seats[1], image=client_image)
    server = Appliance(plan.seats[0], tmp_path, image=own_image, disks=[disk])
    client = make_machine(plan.seats[1], tmp_path)
    with start_neighbour(plan, serves_dhcp=False, directory=tmp_path):
        try:
            server.start(timeout_s=_BOOT_S)
            server.furnish(plan)
            yield Site(plan, server, client)
        finally:
            client.stop()
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
