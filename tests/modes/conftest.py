"""What the tests of all ways to a root share with the boot tests: labs within walls."""

from __future__ import annotations

from tests.boot.conftest import data_dir, make_lab, pytest_configure, pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["data_dir", "make_lab", "pytest_configure", "pytest_runtest_logreport", "pytest_runtest_protocol"]
