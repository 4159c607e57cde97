"""One lab: its network, its neighbour, the daemon under test and the clients, each started when asked.

Tests drive it step by step; `netboot.lab.run` drives it through a whole boot.  A lab stands within the walls of
`netboot.lab.namespace`, one lab to a set of walls.  Its daemon keeps its state in the lab's own folder and sees
the images of the data directory through a read-only mount, so that a lab changes nothing of the installation.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from netboot.config.paths import DataDir
from netboot.config.wishes import options_for
from netboot.errors import InvalidInput, Unavailable
from netboot.images.rootfiles import root_files
from netboot.images.store import ImageStore
from netboot.lab.client import GRAPHICS, UBOOT_MAC, LabFirmware, MachineSpec, QemuClient
from netboot.lab.config import LabDhcp, daemon_config
from netboot.lab.kvm import find_accelerator
from netboot.lab.namespace import SOCKETS, is_inside
from netboot.lab.neighbour import start_neighbour
from netboot.lab.network import LabPlan, Seat, make_network, plan_lab
from netboot.lab.process import Child, import_path
from netboot.lab.ready import ReadySocket
from netboot.lab.watch import BootWatch
from netboot.model.loader import LoaderChoice
from netboot.model.names import VersionRef
from netboot.model.wishes import NO_WISHES, Wishes
from netboot.system.commands import run
from netboot.system.mounts import bind_read_only

# The console on the serial line, and a root shell on it: a lab's clients have nothing to protect.  Without norandmaps
# each process has its libraries elsewhere, and QEMU's emulation translates them anew for each; all that it keeps of a
# page it goes through at each write when that is used for something else, and a client stands still for minutes.
KERNEL_ARGS = ("console=ttyS0", "netboot.autologin=1", "norandmaps")

DEFAULT_IMAGE = VersionRef("debian-minimal")
MIN_MEMORY_MIB = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSpec:
    """What to boot and how.  `timeout_s` bounds the whole; `keep` leaves it running until Ctrl-C.

    With `screenshot` the clients have screens, and that file keeps the first one's once a desktop is drawn there.
    """

    firmware: LabFirmware
    dhcp: LabDhcp
    data_dir: Path
    count: int = 1
    memory_mib: int = 1024
    timeout_s: float = 600.0
    keep: bool = False
    image: VersionRef = DEFAULT_IMAGE
    loader: LoaderChoice = LoaderChoice.AUTO
    wishes: Wishes = NO_WISHES
    kernel_args: tuple[str, ...] = KERNEL_ARGS
    screenshot: Path | None = None

    def __post_init__(self) -> None:
        if self.memory_mib < MIN_MEMORY_MIB:
            raise InvalidInput(
                f"{self.memory_mib} MiB is too little memory for a client",
                hint=f"give it {MIN_MEMORY_MIB} or more; kernel and initrd are unpacked into it",
            )


def plan_for(spec: LabSpec) -> LabPlan:
    """The network for these clients, with the addresses that their firmware will use."""
    plan = plan_lab(spec.count)
    if spec.firmware is not LabFirmware.UBOOT:
        return plan
    if spec.count != 1:
        raise InvalidInput("a lab has one client with u-boot, since all have one MAC address", hint="leave --count out")
    return replace(plan, seats=(replace(plan.seats[0], mac=UBOOT_MAC),))


class Lab:
    """Used with `with`; leaving it stops what was started, in reverse."""

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        self.plan = plan_for(spec)
        self.accelerator = find_accelerator()
        self.directory = _new_directory(DataDir(spec.data_dir.absolute()).lab, f"{spec.firmware}-{spec.dhcp}")
        self._stack = ExitStack()
        self._daemon: Child | None = None
        self._clients: dict[int, QemuClient] = {}

    def __enter__(self) -> Self:
        if not is_inside():
            raise Unavailable(
                "a lab needs network and process namespaces of its own",
                hint="start it with: python -m netboot.lab.namespace COMMAND",
            )
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            make_network(self.plan)
            self.state.mkdir()
            self._show_images()
            self._write_config()
            self._stack.enter_context(self._start_neighbour())
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def state(self) -> Path:
        """The daemon's data directory."""
        return self.directory / "state"

    @property
    def config_file(self) -> Path:
        return self.directory / "netboot.toml"

    def start_daemon(self, *, timeout_s: float = 60.0) -> None:
        """Start `netboot serve` and wait until it says that it is ready."""
        with ReadySocket(SOCKETS / "notify") as ready:
            environ = {"NOTIFY_SOCKET": str(ready.path), "PYTHONPATH": import_path()}
            argv = [*_NETBOOT, "serve", "--config", str(self.config_file), "--data-dir", str(self.state)]
            daemon = Child.start("the daemon", argv, log=self.directory / "daemon.log", environ=environ)
            self._stack.callback(daemon.stop)
            ready.wait(daemon, timeout_s=timeout_s)
        self._daemon = daemon

    def kill_daemon(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the daemon a signal and wait for its end."""
        self.daemon.signal(number)
        self.daemon.process.wait()

    @property
    def daemon(self) -> Child:
        if self._daemon is None:
            raise Unavailable("the lab's daemon was never started", hint="call start_daemon() first")
        return self._daemon

    def netboot(self, *words: str) -> str:
        """Run a `netboot` command on the lab's state, and give what it prints."""
        argv = [*_NETBOOT, *words, "--data-dir", str(self.state)]
        return run(argv, env={"PYTHONPATH": import_path()}).stdout

    def register(self, index: int, *, image: VersionRef | None = None, extra: Sequence[str] = ()) -> Seat:
        """Add a client to the daemon's state as an admin would; `extra` are more options of `netboot client add`."""
        seat = self.plan.seats[index]
        what = ("--image", str(image or self.spec.image), "--loader", self.spec.loader)
        kernel_args = [word for each in self.spec.kernel_args for word in ("--kernel-arg", each)]
        wishes = options_for(self.spec.wishes)
        self.netboot("client", "add", str(seat.mac), "--name", seat.name, *what, *kernel_args, *wishes, *extra)
        return seat

    def watch(self) -> BootWatch:
        """The clients' events and boots, from now on; to be used with `with`, after `start_daemon`."""
        return BootWatch(self.state, self.plan.seats)

    def client(self, index: int) -> QemuClient:
        """The machine at a seat, counted from 0; switched off until its `start` is called."""
        if index not in self._clients:
            client = QemuClient(self._machine(self.plan.seats[index]))
            self._stack.callback(client.stop)
            self._clients[index] = client
        return self._clients[index]

    def _machine(self, seat: Seat) -> MachineSpec:
        return MachineSpec(
            seat=seat,
            firmware=self.spec.firmware,
            accelerator=self.accelerator,
            directory=self.directory,
            sockets=SOCKETS,
            memory_mib=self.spec.memory_mib,
            more=GRAPHICS if self.spec.screenshot else (),
        )

    def _show_images(self) -> None:
        images = DataDir(self.spec.data_dir.absolute()).images
        store = ImageStore(images)
        # All that has to be made first is made here: the lab's daemon could not, since it only reads.
        version = store.get(self.spec.image)
        store.materialise(version)
        if format := self.spec.wishes.root_format:
            root_files(store, version, format)
        target = DataDir(self.state).images
        target.mkdir()
        bind_read_only(images, target)

    def _write_config(self) -> None:
        text = daemon_config(self.plan, self.spec.dhcp, data_dir=self.state, accelerator=self.accelerator)
        self.config_file.write_text(text, encoding="utf-8")

    def _start_neighbour(self) -> Child:
        serves_dhcp = self.spec.dhcp is LabDhcp.PROXY
        names_us = self.spec.loader is LoaderChoice.GRUB
        return start_neighbour(self.plan, serves_dhcp=serves_dhcp, names_us=names_us, directory=self.directory)


_NETBOOT = (sys.executable, "-m", "netboot")


def _new_directory(parent: Path, label: str) -> Path:
    """A folder of our own, named by time and label; a number is added when two labs start in one second."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 100):
        path = parent / (f"{stamp}-{label}" + (f"-{number}" if number > 1 else ""))
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise Unavailable(f"{parent} is full of labs of this second")
