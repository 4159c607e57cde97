"""An iSCSI server that is none of netboot's: a tgtd of the site's own, on a port of its own, told by tgtadm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from netboot.lab.process import Child
from netboot.system.commands import run
from tests.kit import wait_for_file

PORT = 3261
# netboot's own tgtd has control port 0.
_CONTROL = "7"


@dataclass(frozen=True, slots=True)
class Nas:
    """The server at an address."""

    address: IPv4Address

    def show(self, target: str, disk: Path, *, number: int, admitting: str) -> str:
        """Show a disk to the initiator of that name alone; its URI, for iPXE."""
        run(["tgtadm", "-C", _CONTROL, *_ABOUT_TARGETS, "--op", "new", "--tid", str(number), "-T", target])
        unit = ["--lld", "iscsi", "--mode", "logicalunit", "--op", "new", "--tid", str(number), "--lun", "1"]
        run(["tgtadm", "-C", _CONTROL, *unit, "-b", str(disk)])
        admit = ["--op", "bind", "--tid", str(number), "--initiator-name", admitting]
        run(["tgtadm", "-C", _CONTROL, *_ABOUT_TARGETS, *admit])
        return self.uri(target)

    def uri(self, target: str) -> str:
        """LUN 0 is tgt's own controller."""
        return f"iscsi:{self.address}::{PORT}:1:{target}"


_ABOUT_TARGETS = ("--lld", "iscsi", "--mode", "target")


@contextmanager
def nas_at(address: IPv4Address, log: Path) -> Iterator[Nas]:
    """The server while it runs, within a lab's walls."""
    argv = ["tgtd", "-f", "-C", _CONTROL, "--iscsi", f"portal={address}:{PORT}"]
    child = Child.start("the NAS", argv, log=log)
    try:
        wait_for_file(Path(f"/run/tgtd/socket.{_CONTROL}"))
        yield Nas(address)
    finally:
        child.process.kill()  # tgtd ignores SIGTERM
        child.process.wait()
