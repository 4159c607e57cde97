"""What a lab's daemon, which may only read, finds of the images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netboot.images.derived import FORMATS, file_names, find_derived
from netboot.images.store import ImageStore
from netboot.lab.process import import_path
from netboot.model.root import RootFormat
from tests.images_kit import publish_whole
from tests.import_kit import MIB, blank

OPEN_LAB = Path(__file__).with_name("open_lab.py")


@pytest.mark.parametrize("format", FORMATS)
def test_the_format_that_clients_shall_have_is_made_before(tmp_path: Path, format: RootFormat) -> None:
    store = ImageStore(tmp_path / "images")
    store.directory.mkdir()
    file = blank(tmp_path / "root.ext4", 8 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", file], check=True)
    version = publish_whole(store, blocks=file)
    opened = [sys.executable, str(OPEN_LAB), str(tmp_path), version.label, str(format)]
    argv = [sys.executable, "-m", "netboot.lab.namespace", *opened]
    environ = {**os.environ, "PYTHONPATH": import_path()}
    found = json.loads(subprocess.run(argv, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert set(file_names(format)) <= set(found["names"])
    assert found["read_only"]
    assert find_derived(version, format)
