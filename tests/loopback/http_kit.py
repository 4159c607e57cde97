"""A boot listener on a free port, with a real renderer and files on disk, driven from a thread of its own."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

from netboot.boot.script import Renderer
from netboot.errors import NetbootError
from netboot.exports.plan import Export
from netboot.model.event import Event, EventKind
from netboot.model.image import Artefact, Digest, Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import BootRequest
from netboot.model.root import RootPlace
from netboot.model.target import BootTarget, ImageTarget
from netboot.personal.permission import Asker
from netboot.personal.service import Asked, OwnData
from netboot.personal.volumes import Volumes
from netboot.personal.windows import BootWindows
from netboot.web.app import BootApp
from netboot.web.idle import IdleRules
from netboot.web.listener import BootListener
from netboot.web.services import BootServices
from tests.kit import MAC, make_target, make_version

LOCALHOST = IPv4Address("127.0.0.1")
TEMPLATES = Path(__file__).parents[2] / "templates"


@dataclass
class Site:
    """What the listener's collaborators answer; tests change it while it serves."""

    target: BootTarget
    folder: Path
    events: list[Event] = field(default_factory=list)
    asked: list[BootRequest] = field(default_factory=list)
    owners: dict[IPv4Address, MacAddress] = field(default_factory=dict)
    export_error: NetbootError | None = None
    export_s: float = 0.0
    port: int = 0
    shared: list[Sequence[Export]] = field(default_factory=list)
    windows: BootWindows = field(default_factory=lambda: BootWindows(lambda mac: None, time.time))
    find_version: Callable[[VersionRef], Version | None] = lambda ref: None

    def __post_init__(self) -> None:
        volumes = Volumes(self.folder / "clients", self.folder / "exports", self.shared.append)
        self.own = OwnData(self.folder / "clients", self.windows, volumes)

    @property
    def kernel(self) -> bytes:
        return (self.folder / "vmlinuz").read_bytes()

    def services(self) -> BootServices:
        return BootServices(
            choose=self._choose,
            render=Renderer(TEMPLATES).render,
            export=self._export,
            record=self.events.append,
            find_version=self.find_version,
            find_loader=lambda name: self.folder / "loader.efi" if name == "ipxe/snponly.efi" else None,
            own_data=self._own_data,
            owner_of=self.owners.get,
            clock=time.time,
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def boot(self, file: str) -> str:
        return f"/boot/{MAC.dashed}/debian/1/{file}"

    def wait_for(self, kind: EventKind, timeout_s: float = 10.0) -> Event:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for event in tuple(self.events):
                if event.kind is kind:
                    return event
            time.sleep(0.01)
        raise AssertionError(f"no {kind} within {timeout_s} s, only {self.events}")

    async def _own_data(self, target: ImageTarget, address: IPv4Address, server: IPv4Address) -> bytes:
        asker = Asker(lease=self.owners.get(address), neighbour=None)
        asked = Asked(asker=asker, address=address, server=server, templates=[TEMPLATES])
        return await self.own.archive(target, asked)

    def _choose(self, request: BootRequest) -> BootTarget:
        self.asked.append(request)
        return self.target

    async def _export(self, image: ImageTarget) -> RootPlace:
        if self.export_s:
            await asyncio.sleep(self.export_s)
        if self.export_error is not None:
            raise self.export_error
        return RootPlace(f"/srv/exports/{image.version.image}/{image.version.number}")


def image_target(folder: Path) -> ImageTarget:
    version = replace(make_version(), kernel=_artefact(folder / "vmlinuz"), initrd=_artefact(folder / "initrd.img"))
    return replace(make_target(), version=version, hostname="lab-01")


@contextmanager
def boot_site(folder: Path, *, idle_rules: IdleRules | None = None) -> Iterator[Site]:
    """Files of known content below `folder`, served."""
    dice = random.Random(3)
    for name, size in (("vmlinuz", 3_000_000), ("initrd.img", 16_000_000), ("loader.efi", 250_000)):
        (folder / name).write_bytes(dice.randbytes(size))
    with serving(Site(image_target(folder), folder), idle_rules=idle_rules) as site:
        yield site


@contextmanager
def serving(site: Site, *, idle_rules: IdleRules | None = None) -> Iterator[Site]:
    """A listener that answers as `site` does."""
    loop = asyncio.new_event_loop()
    listener = BootListener(BootApp(site.services()).respond, LOCALHOST, 0, idle_rules=idle_rules)
    loop.run_until_complete(listener.start())
    site.port = listener.port
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield site
    finally:
        asyncio.run_coroutine_threadsafe(listener.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        site.own.close()
        loop.close()


def exchange(port: int, request: bytes) -> bytes:
    """What comes back for these bytes until the server closes: ask it to, by `Connection: close`."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


def _artefact(path: Path) -> Artefact:
    content = path.read_bytes()
    return Artefact(path=path, size_bytes=len(content), digest=Digest(hashlib.sha256(content).hexdigest()))
