"""A wire with our DHCP server on a bridge and guests in namespaces of their own; for tests marked `walls`."""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, TypeVar

from netboot.config import DhcpMode
from netboot.lab.process import Child, import_path
from netboot.model.mac import MacAddress
from netboot.system.commands import run
from netboot.system.links import Links, create_namespace
from tests.dhcp_kit import SERVER

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_ETH_P_IP = 0x0800
BRIDGE = "br0"
HOOK = Path(__file__).with_name("dhcp_hook.sh")


def make_wire(bridge: str = BRIDGE, *addresses: str) -> None:
    """A switch that we stand at, with our addresses there; without any it is the network of tests.dhcp_kit."""
    with Links() as links:
        links.add_bridge(bridge)
        for address in addresses or (f"{SERVER}/24",):
            links.add_address(bridge, IPv4Interface(address))
        links.set_up(bridge)


def wait_for(ask: Callable[[], T | None], what: str, *, limit_s: float = 20.0) -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + limit_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"no {what} within {limit_s} s"
        time.sleep(0.05)
    return answer


@dataclass(frozen=True)
class Guest:
    """A machine on the wire with one card, eth0."""

    name: str

    def argv(self, *argv: str) -> list[str]:
        """The command as it runs inside of the guest."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *argv]

    def address(self) -> str | None:
        shown = json.loads(run(self.argv("ip", "-json", "-4", "address", "show", "dev", "eth0")).stdout)
        found = [each["local"] for link in shown for each in link.get("addr_info", ())]
        return found[0] if found else None

    def add_address(self, address: str) -> None:
        run(self.argv("ip", "address", "add", f"{address}/24", "dev", "eth0"))

    def forget_address(self) -> None:
        run(self.argv("ip", "address", "flush", "dev", "eth0"))

    def packets(self) -> socket.socket:
        """Every IPv4 packet that comes in at the guest's card, for addresses that it does not have yet, too."""
        made = self._inside(socket.AF_PACKET)
        made.bind(("eth0", _ETH_P_IP))
        return made

    def _inside(self, family: socket.AddressFamily) -> socket.socket:
        """A socket for datagrams in the guest's namespace; other sockets of ours stay where they are."""
        made: list[socket.socket] = []

        def make() -> None:
            # A network namespace belongs to a thread, and a socket to the namespace it was made in.
            with Path(f"/run/netns/{self.name}").open("rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(family, socket.SOCK_DGRAM))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].settimeout(10)
        return made[0]

    def socket(self, port: int = 68) -> socket.socket:
        """A UDP socket of the guest that speaks without an address."""
        made = self._inside(socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.bind(("", port))
        return made

    def udhcpc(self, *more: str) -> str:
        """One lease by busybox's client; what it printed."""
        argv = ("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "4", "-T", "2", "-s", str(HOOK), *more)
        done = run(self.argv(*argv))
        return done.stdout + done.stderr


def plug_in(name: str, mac: MacAddress, bridge: str = BRIDGE) -> Guest:
    create_namespace(name)
    guest = Guest(name)
    with Links() as links:
        links.add_veth(f"{name}-port", peer="eth0", peer_namespace=name)
        links.attach(f"{name}-port", bridge=bridge)
        links.set_up(f"{name}-port")
    run(guest.argv("ip", "link", "set", "eth0", "address", str(mac), "up"))
    return guest


@dataclass(frozen=True)
class Daemon:
    """A running server, see tests/lab/dhcp_daemon.py."""

    child: Child

    @classmethod
    def start(cls, folder: Path, mode: DhcpMode = DhcpMode.OWN) -> Daemon:
        log = folder / f"daemon-{time.monotonic_ns()}.log"
        argv = [sys.executable, "-m", "tests.lab.dhcp_daemon", BRIDGE, str(folder), mode.value]
        daemon = cls(Child.start("the DHCP daemon", argv, log=log, environ={"PYTHONPATH": import_path()}))

        def is_ready() -> bool:
            daemon.child.check()
            return "ready" in daemon.log

        wait_for(is_ready, "daemon")
        return daemon

    @property
    def log(self) -> str:
        return self.child.log.read_text(encoding="utf-8")

    def events(self, kind: str | None = None) -> list[Mapping[str, Any]]:
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [each for each in lines if kind in (None, each["kind"])]

    @property
    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.child.process.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def kill(self) -> None:
        self.child.signal(signal.SIGKILL)

    def stop(self) -> None:
        assert self.child.stop() == 0, self.log
        assert "Traceback" not in self.log, self.log
