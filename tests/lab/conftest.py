"""Tests marked `walls` run in namespaces of their own, see tests/walls.py."""

from __future__ import annotations

from tests.walls import pytest_configure, pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_runtest_protocol"]
