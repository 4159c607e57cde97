"""One interface that is served: the boot listener and TFTP, and DHCP last, since its answers name the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from netboot.boot.choose import BootPolicy, choose
from netboot.boot.loaderfiles import LoaderFiles
from netboot.boot.script import Renderer, ScriptContext, ScriptKind
from netboot.config import Config, DhcpMode, TftpSettings
from netboot.daemon.parts import Parts
from netboot.daemon.places import Place
from netboot.daemon.policies import dhcp_policies
from netboot.dhcp.policy import Policies
from netboot.dhcp.server import DhcpServer
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.request import BootRequest
from netboot.model.root import RootPlace
from netboot.model.target import BootTarget, ImageTarget
from netboot.personal.service import Asked
from netboot.system.neighbours import neighbour_at
from netboot.tftp.events import TransferEvent, boot_event
from netboot.tftp.limits import TftpLimits
from netboot.tftp.names import BootNames, Collaborators
from netboot.tftp.server import TftpServer
from netboot.web.app import BootApp
from netboot.web.listener import BootListener
from netboot.web.services import BootServices


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a reload replaces as a whole."""

    config: Config
    boot: BootPolicy
    loaders: LoaderFiles
    renderer: Renderer
    templates: tuple[Path, ...]


class Site:
    """Everything on one interface.  `settings` is asked anew with every request.

    DHCP's policies are made anew when settings or place have changed, not with every packet.
    """

    def __init__(self, place: Place, parts: Parts, settings: Callable[[], Settings]) -> None:
        self.place = place
        self._parts = parts
        self._settings = settings
        ports = settings().config
        self._http_port = ports.http.port
        self._listener = BootListener(BootApp(self._services()).respond, place.address, self._http_port)
        self._tftp = self._make_tftp(ports.tftp) if ports.tftp.enabled else None
        self._dhcp: DhcpServer | None = None
        self._dhcp_shares_port = False
        self._policies: tuple[Settings, Place, Policies] | None = None

    async def start(self) -> None:
        """Raises `Unavailable` or `NotPermitted`; what was started before the failure is stopped again."""
        try:
            await self._listener.start()
            if self._tftp is not None:
                self._tftp.start()
            await self._start_dhcp()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._stop_dhcp()
        if self._tftp is not None:
            await asyncio.to_thread(self._tftp.stop)
        await self._listener.stop()

    async def move(self, place: Place) -> None:
        """Serve the same address by other rules.  DHCP starts anew when these ask for other sockets."""
        if place != self.place:
            self.place = place
        policies = self._dhcp_policies()
        if self._dhcp is not None and (_is_off(policies) or policies.shares_port is not self._dhcp_shares_port):
            await self._stop_dhcp()
        if self._dhcp is None:
            await self._start_dhcp()

    @property
    def summary(self) -> str:
        """What is served there, in words: the mode of its own network, and of those that are served otherwise."""
        policies = self._dhcp_policies()
        modes = [str(policies.home.mode)]
        interface, config = self.place.interface, self._settings().config
        for subnet in config.subnet:
            if (mode := interface.mode_for(subnet)) is not policies.home.mode:
                modes.append(f"{mode} for {subnet.network}")
        failed = ", but it could not start" if self._dhcp is None and not _is_off(policies) else ""
        return f"{interface.name} ({self.place.address}, dhcp {', '.join(modes)}{failed})"

    def _dhcp_policies(self) -> Policies:
        settings, place = self._settings(), self.place
        if self._policies is None or self._policies[0] is not settings or self._policies[1] is not place:
            made = dhcp_policies(
                place,
                settings.config,
                boot=settings.boot,
                clients=self._parts.clients,
                ledger=self._parts.ledger,
                strategies=self._parts.learner.strategies,
                http_port=self._http_port,
            )
            self._policies = settings, place, made
        return self._policies[2]

    async def _start_dhcp(self) -> None:
        policies = self._dhcp_policies()
        if _is_off(policies):
            return
        dhcp = DhcpServer(self.place.interface.name, self._dhcp_policies, self._parts.ledger, self._parts.tell)
        await dhcp.start()
        self._dhcp, self._dhcp_shares_port = dhcp, policies.shares_port

    async def _stop_dhcp(self) -> None:
        if self._dhcp is not None:
            dhcp, self._dhcp = self._dhcp, None
            await dhcp.stop()

    def _make_tftp(self, settings: TftpSettings) -> TftpServer:
        names = BootNames(
            Collaborators(
                choose=self._choose,
                render=self._render,
                context=self._context,
                find_version=self._parts.versions.find,
                find_loader=self._find_loader,
                find_pi=lambda name: self._settings().loaders.find_pi(name),
                owner_of=self._owner_of,
            )
        )
        return TftpServer(
            self.place.address,
            names,
            self._tell_transfer,
            settings.port,
            limits=TftpLimits(ports=settings.ports),
            interface=self.place.interface.name,
        )

    def _services(self) -> BootServices:
        return BootServices(
            choose=self._choose,
            render=self._render,
            export=self._export,
            record=self._tell,
            find_version=self._parts.versions.find,
            find_loader=self._find_loader,
            own_data=self._own_data,
            owner_of=self._owner_of,
            clock=time.time,
        )

    def _choose(self, request: BootRequest) -> BootTarget:
        return choose(request, self._settings().boot)

    def _find_loader(self, name: str) -> Path | None:
        return self._settings().loaders.find(name)

    def _render(self, kind: ScriptKind, target: BootTarget, context: ScriptContext) -> str:
        return self._settings().renderer.render(kind, target, context)

    def _context(self, _: IPv4Address) -> ScriptContext:
        """For TFTP, whose thread may wait for an export; it is there already unless the assignment is new."""
        return ScriptContext(server=self.place.address, http_port=self._http_port, root_of=self._root_of)

    async def _export(self, image: ImageTarget) -> RootPlace:
        """Almost always at once; a thread only for the first client of a version that is new."""
        exporter = self._parts.exporter
        if place := exporter.served(image):
            return place
        return await asyncio.to_thread(exporter.ensure, image)

    def _root_of(self, image: ImageTarget) -> RootPlace:
        exporter = self._parts.exporter
        return exporter.served(image) or exporter.ensure(image)

    async def _own_data(self, target: ImageTarget, address: IPv4Address, server: IPv4Address) -> bytes:
        asked = Asked(
            asker=self._parts.holder(address), address=address, server=server, templates=self._settings().templates
        )
        return await self._parts.own_data.archive(target, asked)

    def _tell(self, event: Event) -> None:
        # Where another server answers DHCP unseen, a client's script is the first that we hear of its boot.
        if event.kind is EventKind.SCRIPT_SENT and event.mac is not None and self._dhcp is None:
            self._parts.windows.open(event.mac)
        self._parts.tell(event)

    def _owner_of(self, address: IPv4Address) -> MacAddress | None:
        """Who has an address: by our lease, else by what the wire says, as in proxy mode."""
        return self._parts.lease_owner(address) or neighbour_at(address)

    def _tell_transfer(self, transfer: TransferEvent) -> None:
        event = boot_event(transfer, at=time.time(), owner_of=self._owner_of)
        if event is not None:
            self._tell(event)
        elif self._parts.learner.awaits() and (mac := self._owner_of(transfer.peer)):
            self._parts.learner.fetched(mac)  # a probe for its size, or a name that is not there


def _is_off(policies: Policies) -> bool:
    return policies.modes == {DhcpMode.OFF}
