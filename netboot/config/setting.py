"""One key of the configuration file: what makes a field of a section a setting."""

from __future__ import annotations

from dataclasses import MISSING, field
from typing import Any

from netboot.config import values

REQUIRED = MISSING


def setting(default: Any, read: values.Reader, help: str) -> Any:
    """One key: its default (or REQUIRED), the reader of its value, and a sentence for the documentation."""
    return field(default=default, metadata={"read": read, "help": help})
