"""`python -m netboot` is the command `netboot`."""

from __future__ import annotations

import sys

from netboot.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
