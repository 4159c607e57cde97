"""Scripts: a loader asks what to do, and is told in its own language."""

from __future__ import annotations

from netboot.boot.artefacts import bootable
from netboot.boot.san import in_language
from netboot.boot.script import ScriptContext, ScriptKind
from netboot.errors import NetbootError
from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.request import Firmware
from netboot.model.root import RootPlace
from netboot.model.target import BootTarget, DeniedTarget, SanTarget
from netboot.web.refusal import Refused
from netboot.web.response import Response
from netboot.web.services import Call, boot_request, client_of, own_address

_FIRMWARE = {ScriptKind.IPXE: Firmware.IPXE}


async def script(call: Call) -> Response:
    """GET /boot/MAC/{ipxe,pxelinux,grub}.  Always a script: what cannot be booted is said on the client's console."""
    return await _script(call, ScriptKind(call.names["kind"]), client_of(call))


async def autoexec(call: Call) -> Response:
    """GET autoexec.ipxe at the root or beside a loader, which an iPXE for UEFI tries before it asks anybody.

    Its own script, by the address that asks; 404 when nobody knows whose that is.
    """
    mac = call.services.owner_of(call.peer)
    if mac is None:
        raise Refused(404, "nobody is known to have your address\n")
    return await _script(call, ScriptKind.IPXE, mac)


async def _script(call: Call, kind: ScriptKind, mac: MacAddress) -> Response:
    services = call.services
    chosen = services.choose(boot_request(call, mac, firmware=_FIRMWARE.get(kind, Firmware.UNKNOWN)))
    target, text = await _rendered(kind, in_language(kind, chosen), call)
    if call.is_get:
        services.record(_event(kind, target, at=services.clock()))
    return Response.of(text)


async def _rendered(kind: ScriptKind, target: BootTarget, call: Call) -> tuple[BootTarget, str]:
    """The script, or why there is none, as a script again."""
    render = call.services.render
    try:
        return target, render(kind, target, await _context(target, call))
    except NetbootError as error:
        refusal = DeniedTarget(
            mac=target.mac, reason=error.message, hint=error.hint or "see the server's log", known=True
        )
        return refusal, render(kind, refusal, _bare_context(call))


async def _context(target: BootTarget, call: Call) -> ScriptContext:
    places = {image.version.label: await call.services.export(image) for image in bootable(target)}
    server, port = own_address(call)
    return ScriptContext(server=server, http_port=port, root_of=lambda image: places[image.version.label])


def _bare_context(call: Call) -> ScriptContext:
    server, port = own_address(call)
    return ScriptContext(server=server, http_port=port, root_of=lambda image: RootPlace(image.version.label))


def _event(kind: ScriptKind, target: BootTarget, *, at: float) -> Event:
    if isinstance(target, DeniedTarget):
        refused: dict[str, Detail] = {"reason": target.reason, "hint": target.hint}
        return Event(at=at, kind=EventKind.DENIED, mac=target.mac, details=refused)
    details: dict[str, Detail] = {"loader": str(kind), "reason": target.reason}
    images = bootable(target)
    if len(images) == 1:
        details["version"] = images[0].version.label
    if isinstance(target, SanTarget):
        details["san"] = str(target.san)
    return Event(at=at, kind=EventKind.SCRIPT_SENT, mac=target.mac, details=details)
