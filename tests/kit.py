"""Values that tests of several tiers share."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NoReturn

import pytest

from netboot.model.image import Artefact, Digest, Root, Version
from netboot.model.loader import Loader, LoaderChoice
from netboot.model.mac import MacAddress
from netboot.model.target import ImageTarget

MAC = MacAddress.parse("52:54:00:00:00:01")
OTHER_MAC = MacAddress.parse("52:54:00:00:00:02")


def make_version(image: str = "debian", number: int = 1, arch: str = "amd64") -> Version:
    artefact = Artefact(path=Path("/x"), size_bytes=1, digest=Digest("0" * 64))
    return Version(
        image=image,
        number=number,
        digest=Digest("1" * 64),
        kernel_version="6.1",
        arch=arch,
        filesystem="ext4",
        root=Root(path=Path("/x"), size_bytes=1, digest=artefact.digest),
        kernel=artefact,
        initrd=artefact,
        created_at=0.0,
        kernel_args=("quiet",),
    )


def make_target(loader: Loader = LoaderChoice.AUTO) -> ImageTarget:
    """An image target for `MAC` on version debian:1."""
    return ImageTarget(mac=MAC, hostname="a", machine_id="0" * 32, version=make_version(), reason="test", loader=loader)


def cannot_run(reason: str) -> NoReturn:
    """Skip a test that this machine cannot run; on a build machine, where it should run, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def wait_for_file(file: Path) -> None:
    """Wait until a file is there, as a program's socket once it listens."""
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.05)
