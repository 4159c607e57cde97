"""What the appliance test starts with: a server switched on, its wire, and a client that is still off.

All of it lives within walls of the test's own (tests/walls.py).  Two images are needed: the client's, which is the
example, and the server's, from the recipe beside this file.
"""

from __future__ import annotations

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
from tests.appliance.disk import make_disk
from tests.appliance.machine import Appliance, make_machine
from tests.kit import cannot_run
from tests.walls import pytest_configure, pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_runtest_protocol"]

_RECIPES = Path(__file__).parent / "images"

# Debian 12's, which is to import the libraries of the Python that runs the tests.
_PYTHON = (3, 11)

_BOOT_S = 240.0


@dataclass(frozen=True)
class Site:
    """A server, already on, and a client of it."""

    plan: LabPlan
    server: Appliance
    client: QemuClient


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    own_image = _image(VersionRef("appliance"), f" --recipes {_RECIPES}")
    client_image = _image(DEFAULT_IMAGE)
    if sys.version_info[:2] != _PYTHON:
        cannot_run(f"the appliance's Python is {_PYTHON} and cannot import this one's libraries")
    plan, disk = plan_lab(2), tmp_path / "disk.raw"
    make_wire(plan)
    make_disk(disk, tmp_path / "disk", plan=plan, client=plan.seats[1], image=client_image)
    server = Appliance(plan.seats[0], tmp_path, image=own_image, disk=disk)
    client = make_machine(plan.seats[1], tmp_path)
    with start_neighbour(plan, serves_dhcp=False, directory=tmp_path):
        try:
            server.start(plan, timeout_s=_BOOT_S)
            yield Site(plan, server, client)
        finally:
            client.stop()
            print(server.last_words())
            server.machine.stop()
            disk.unlink()  # pytest keeps the folder, for the consoles in it


def _image(ref: VersionRef, recipes: str = "") -> Version:
    images = DataDir.find(None, None).images
    try:
        return ImageStore(images).get(ref)
    except NotFound:
        cannot_run(f"no image {ref} in {images}; build it: netboot image build {ref}{recipes}")
