"""`make` passes on where the data directory is: the user's own, or one within the checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOW = "show:\n\t@echo $$NETBOOT_DATA_DIR\n"


@pytest.mark.parametrize(
    ("named", "used"), [(None, str(ROOT / ".data")), ("", str(ROOT / ".data")), ("/srv/x", "/srv/x")]
)
def test_the_data_directory(named: str | None, used: str, tmp_path: Path) -> None:
    show = tmp_path / "show.mk"
    show.write_text(SHOW)
    environ = {key: value for key, value in os.environ.items() if key != "NETBOOT_DATA_DIR"}
    if named is not None:
        environ["NETBOOT_DATA_DIR"] = named
    argv = ["make", "-s", "-f", "Makefile", "-f", str(show), "show"]
    made = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == used
