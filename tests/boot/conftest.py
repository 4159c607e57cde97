"""What boot tests share: labs, each test's within walls of its own (tests/walls.py), on the image that was built.

A lab's files, its clients' consoles among them, lie below the test's temporary folder, and the ends of its logs
are printed, so that pytest shows them for a test that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from netboot.config.paths import DataDir
from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.lab import DEFAULT_IMAGE, Lab, LabSpec
from netboot.lab.process import last_lines
from tests.kit import cannot_run
from tests.walls import pytest_configure, pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_runtest_protocol"]

MakeLab = Callable[..., Lab]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory of the test's own that holds the images of the real one."""
    images = DataDir.find(None, None).images
    if not (images / DEFAULT_IMAGE.image).is_dir():
        cannot_run(f"no image {DEFAULT_IMAGE} in {images}; build it: netboot image build {DEFAULT_IMAGE}")
    own = tmp_path / "data"
    own.mkdir()
    (own / "images").symlink_to(images)
    return own


@pytest.fixture
def make_lab(data_dir: Path) -> Iterator[MakeLab]:
    """Make and enter a lab: `make_lab(firmware=..., dhcp=..., count=...)`; BIOS and own DHCP unless named."""
    with ExitStack() as stack:

        def make(firmware: LabFirmware = LabFirmware.BIOS, dhcp: LabDhcp = LabDhcp.OWN, **more: Any) -> Lab:
            lab = Lab(LabSpec(firmware=firmware, dhcp=dhcp, data_dir=data_dir, **more))
            stack.callback(_print_logs, lab.directory)
            return stack.enter_context(lab)

        yield make


def _print_logs(directory: Path) -> None:
    for log in sorted(directory.glob("*.log")):
        print(f"--- the end of {log}\n{last_lines(log, 30)}")
