"""What kind of machine this is, in the words that Debian and containers use for it."""

from __future__ import annotations

import platform
from collections.abc import Mapping

_NAMES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "riscv64": "riscv64"}


def native_arch() -> str:
    """`amd64`, `arm64`, ...: the programs that run here."""
    return _NAMES.get(platform.machine(), platform.machine())
