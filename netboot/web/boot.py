"""Scripts: a loader asks what to do, and is told in its own language."""

from __future__ import annotations

from aiohttp import web

from netboot.boot.artefacts import bootable
from netboot.boot.script import ScriptContext, ScriptKind
from netboot.errors import NetbootError
from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware
from netboot.model.target import BootTarget, DeniedTarget
from netboot.web.services import SERVICES, BootServices, boot_request, client_of, own_address, peer_of

_FIRMWARE = {ScriptKind.IPXE: Firmware.IPXE}


async def script(request: web.Request) -> web.Response:
    """GET /boot/MAC/{ipxe,pxelinux,grub}.  Always a script: what cannot be booted is said on the client's console."""
    return await _script(request, ScriptKind(request.match_info["kind"]), client_of(request))


async def autoexec(request: web.Request) -> web.Response:
    """GET autoexec.ipxe at the root or beside a loader, which an iPXE for UEFI tries before it asks anybody.

    Its own script, by the address that asks; 404 when nobody knows whose that is.
    """
    peer = peer_of(request)
    mac = request.app[SERVICES].owner_of(peer) if peer else None
    if mac is None:
        raise web.HTTPNotFound(text="nobody is known to have your address\n")
    return await _script(request, ScriptKind.IPXE, mac)


async def _script(request: web.Request, kind: ScriptKind, mac: MacAddress) -> web.Response:
    services = request.app[SERVICES]
    chosen = services.choose(boot_request(request, mac, firmware=_FIRMWARE.get(kind, Firmware.UNKNOWN)))
    target, text = await _rendered(kind, chosen, request)
    if request.method == "GET":
        services.record(_event(kind, target, at=services.clock()))
    return web.Response(text=text, content_type="text/plain")


async def _rendered(kind: ScriptKind, target: BootTarget, request: web.Request) -> tuple[BootTarget, str]:
    """The script, or why there is none, as a script again."""
    services = request.app[SERVICES]
    try:
        context = await _context(target, request, services)
        return target, services.render(kind, target, context)
    except NetbootError as error:
        refusal = DeniedTarget(
            mac=target.mac, reason=error.message, hint=error.hint or "see the server's log", known=True
        )
        return refusal, services.render(kind, refusal, _bare_context(request))


async def _context(target: BootTarget, request: web.Request, services: BootServices) -> ScriptContext:
    paths = {image.version.label: await services.export(image.version) for image in bootable(target)}
    server, port = own_address(request)
    return ScriptContext(server=server, http_port=port, export_path=lambda version: paths[version.label])


def _bare_context(request: web.Request) -> ScriptContext:
    server, port = own_address(request)
    return ScriptContext(server=server, http_port=port, export_path=lambda version: version.label)


def _event(kind: ScriptKind, target: BootTarget, *, at: float) -> Event:
    if isinstance(target, DeniedTarget):
        refused: dict[str, Detail] = {"reason": target.reason, "hint": target.hint}
        return Event(at=at, kind=EventKind.DENIED, mac=target.mac, details=refused)
    details: dict[str, Detail] = {"loader": str(kind), "reason": target.reason}
    images = bootable(target)
    if len(images) == 1:
        details["version"] = images[0].version.label
    return Event(at=at, kind=EventKind.SCRIPT_SENT, mac=target.mac, details=details)
