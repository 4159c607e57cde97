"""The folder of captures of real clients: NETBOOT_CAPTURES, or `shared/captures` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit import cannot_run


@pytest.fixture(scope="session")
def captures() -> Path:
    """Skips where the captures are not there; on a build machine that is a failure."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "captures"
    folder = Path(os.environ.get("NETBOOT_CAPTURES", beside))
    if not folder.is_dir():
        cannot_run(f"no captures in {folder}; set NETBOOT_CAPTURES to their folder")
    return folder
