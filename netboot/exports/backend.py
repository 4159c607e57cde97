"""What an NFS server must be able to do for us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from netboot.exports.plan import Export, Grant, Plan


class Backend(Protocol):
    """One NFS server.  Every call may block; none is made by two threads at once."""

    name: str

    def prepare(self) -> None:
        """See that the server can serve, before there is anything to; raises `Unavailable` with what is in the way."""
        ...

    def observe(self) -> Sequence[Grant]:
        """The grants of ours that are in force, or would be once the server runs."""
        ...

    def carry_out(self, plan: Plan, desired: Sequence[Export]) -> None:
        """Make it so, and return when clients can mount what is `desired`.  Starts the server if need be."""
        ...

    def keep_up(self) -> bool:
        """Start the server again if it died; whether it had."""
        ...

    def stop(self) -> bool:
        """Withdraw all of ours; end the server if it is ours.  Whether what was exported may be unmounted."""
        ...
