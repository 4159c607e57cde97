"""One target under atheris, in a process of its own: libFuzzer ends the process when it is done.

Usage: python -m tests.fuzz.harness MODULE:FUNCTION [libFuzzer's arguments]
"""

from __future__ import annotations

import sys
from importlib import import_module

import atheris


def main(argv: list[str]) -> None:
    module, _, function = argv[1].partition(":")
    # Only what is imported here is watched for new paths, so nothing of netboot may be imported above.
    with atheris.instrument_imports(include=["netboot"]):
        target = getattr(import_module(module), function)
    atheris.Setup([argv[0], *argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
