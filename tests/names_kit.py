"""The daemon's TFTP names with their collaborators played, shared by tiers."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

from netboot.boot.script import Renderer, ScriptContext
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.request import BootRequest
from netboot.model.root import RootPlace
from netboot.model.target import BootTarget
from netboot.tftp.content import BootFile
from netboot.tftp.names import BootNames, Collaborators
from netboot.tftp.static import StaticFiles
from tests.kit import make_target

PEER = IPv4Address("10.9.0.50")
TEMPLATES = Path(__file__).parents[1] / "templates"


class Home:
    """A BootNames with a clock, a target and a lease to be set."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.target: BootTarget = make_target()
        self.asked: list[BootRequest] = []
        self.published: dict[str, Version] = {}
        self.owners: dict[IPv4Address, MacAddress] = {}
        (folder / "loader").write_bytes(b"loader")
        (folder / "own").write_bytes(b"own")
        (folder / "firmware").write_bytes(b"firmware")
        renderer = Renderer(TEMPLATES)
        ask = Collaborators(
            choose=self._choose,
            render=renderer.render,
            context=lambda peer: ScriptContext(
                server=IPv4Address("10.9.0.1"),
                http_port=8080,
                root_of=lambda image: RootPlace(f"/srv/{image.version.image}"),
            ),
            find_version=lambda ref: self.published.get(str(ref)),
            find_loader={"ipxe/undionly.kpxe": folder / "loader"}.get,
            find_pi={"start4.elf": folder / "firmware", "overlays/disable-bt.dtbo": folder / "firmware"}.get,
            owner_of=self.owners.get,
        )
        self.names = BootNames(ask, roots=(StaticFiles(folder),), clock=lambda: self.now)

    def _choose(self, request: BootRequest) -> BootTarget:
        self.asked.append(request)
        return self.target

    def text(self, name: bytes, peer: IPv4Address = PEER) -> str:
        found = self.names.open(name, peer)
        assert isinstance(found, BootFile), found
        if isinstance(found.content, int):
            with os.fdopen(found.content) as file:
                return file.read()
        assert len(found.content) == found.size
        return found.content.decode()
