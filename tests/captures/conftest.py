"""The captures of real clients, see tests/captures/files.py."""

from __future__ import annotations

from tests.captures.files import captures

__all__ = ["captures"]
