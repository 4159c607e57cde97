"""Which kernel of a system is booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.images.kernel import newest_kernel, newest_of


def test_the_newest_by_number_not_by_letter() -> None:
    assert newest_of(["6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-amd64-rt"]) == "6.1.0-10-amd64-rt"
    assert newest_of(["6.1.0-10-amd64", "6.1.0-9-amd64", "5.99"]) == "6.1.0-10-amd64"
    assert newest_of(["rc", "6.1"]) == "6.1"
    assert newest_of([]) is None


def test_a_system_without_kernel_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    with pytest.raises(NetbootError, match="no kernel") as caught:
        newest_kernel(tmp_path)
    assert caught.value.hint and "linux-image" in caught.value.hint
