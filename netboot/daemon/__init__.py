"""The daemon: the composition root.  It builds the parts, starts them in order, and stops them in reverse.

Nothing is decided here.  `places` finds the interfaces that the file names, `policies` turns configuration and state
into the frozen policies that decisions take, `exporting` says what is exported, `site` serves one interface and `sites`
all of them, `attendance` tells which came and went, `parts` holds what all share, and `service` is the life from start
over reload to stop.
"""

from netboot.daemon.service import plan, serve

__all__ = ["plan", "serve"]
