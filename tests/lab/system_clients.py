"""The DHCP clients of whole systems, each with a /run and a bus of its own; for tests marked `walls`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netboot.lab.process import Child
from netboot.system.commands import run
from tests.lab.dhcp_wire import Guest, wait_for

_SCRIPTS = Path(__file__).with_name("clients")


@dataclass(frozen=True)
class Machine:
    """A guest on which such a client runs; `folder` is its disk."""

    guest: Guest
    folder: Path
    child: Child

    def address(self) -> str:
        """The address that the client has set, once it has."""

        def shown() -> str | None:
            self.child.check()
            return self.guest.address()

        return wait_for(shown, "address")

    def run(self, *argv: str) -> str:
        """What a program says on that machine."""
        inside = ("nsenter", f"--mount=/proc/{self.child.process.pid}/ns/mnt", "--")
        return run(self.guest.argv(*inside, *argv)).stdout

    def networkd_lease(self) -> Mapping[str, str]:
        """networkd's record of its lease."""
        leases = self.folder / "run/systemd/netif/leases"
        (file,) = wait_for(lambda: list(leases.glob("*")), "lease file")
        lines = file.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def network_manager_options(self) -> Mapping[str, str]:
        """What NetworkManager was told by DHCP, by its names."""

        def told() -> dict[str, str]:
            lines = self.run("nmcli", "--terse", "--fields", "DHCP4", "device", "show", "eth0").splitlines()
            pairs = (line.partition(":")[2].replace("\\:", ":").split(" = ", 1) for line in lines)
            return {key: value for key, value in pairs if not key.startswith("requested_")}

        return wait_for(told, "options")


@contextmanager
def networkd(guest: Guest, folder: Path) -> Iterator[Machine]:
    """systemd-networkd; when it ends it gives its address back."""
    with _machine(guest, folder, "networkd") as machine:
        yield machine


@contextmanager
def network_manager(guest: Guest, folder: Path) -> Iterator[Machine]:
    """NetworkManager; when it ends it leaves the address where it is, and remembers its lease."""
    with _machine(guest, folder, "network_manager") as machine:
        yield machine


@contextmanager
def _machine(guest: Guest, folder: Path, script: str) -> Iterator[Machine]:
    folder.mkdir(exist_ok=True)
    start = ("unshare", "--mount", "--uts", "sh", str(_SCRIPTS / "machine.sh"), str(folder))
    argv = guest.argv(*start, "sh", str(_SCRIPTS / f"{script}.sh"), str(folder))
    with Child.start(script, argv, log=folder / f"{script}.log") as child:
        yield Machine(guest, folder, child)
