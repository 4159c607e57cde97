"""Kernels, initrds and loaders: who may have which file, and the event when it went out."""

from __future__ import annotations

import os
from pathlib import Path

from aiohttp import web

from netboot.boot.artefacts import SENT, fetchable
from netboot.boot.artefacts import artefact as find_artefact
from netboot.errors import NetbootError
from netboot.model.event import Detail, Event, EventKind
from netboot.model.image import Artefact, Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import Firmware
from netboot.web.sending import SentFile, open_file, respond
from netboot.web.services import SERVICES, boot_request, client_of, peer_of

# EDK2 goes by the type first (rule 5.3); an unknown one is refused there.
_LOADER_TYPES = {".efi": "application/efi", ".iso": "application/vnd.efi-iso", ".img": "application/vnd.efi-img"}
_OCTETS = "application/octet-stream"


async def artefact(request: web.Request) -> web.StreamResponse:
    """GET /boot/MAC/IMAGE/NUMBER/{vmlinuz,initrd.img}, of a version that this client may boot."""
    services = request.app[SERVICES]
    version = _permitted(request)
    name = request.match_info["file"]
    try:
        await services.export(version)
    except NetbootError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
    file = find_artefact(version, name)
    details: dict[str, Detail] = {"file": name, "version": version.label}
    return await _send(request, file.path, SENT[name], etag=_etag(file), mac=client_of(request), details=details)


async def loader(request: web.Request) -> web.StreamResponse:
    """GET /loader/NAME, for UEFI HTTP boot."""
    services = request.app[SERVICES]
    name = request.match_info["name"]
    path = services.find_loader(name)
    if path is None:
        raise web.HTTPNotFound(text="no such loader\n")
    status = path.stat()
    peer = peer_of(request)
    return await _send(
        request,
        path,
        EventKind.LOADER_SENT,
        etag=f'"{status.st_size:x}-{status.st_mtime_ns:x}"',
        mac=services.owner_of(peer) if peer else None,
        details={"file": name},
    )


def _permitted(request: web.Request) -> Version:
    """The version in the path, if it is one that the client's target lets it fetch.  Raises 404."""
    services = request.app[SERVICES]
    target = services.choose(boot_request(request, client_of(request), firmware=Firmware.UNKNOWN))
    wanted = VersionRef(request.match_info["image"], int(request.match_info["number"]))
    try:
        version = fetchable(target, wanted, services.find_version)
    except NetbootError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
    if version is not None:
        return version
    raise web.HTTPNotFound(text=f"{wanted} is not what this client boots: {target.reason}\n")


async def _send(
    request: web.Request,
    path: Path,
    kind: EventKind,
    *,
    etag: str,
    mac: MacAddress | None,
    details: dict[str, Detail],
) -> web.StreamResponse:
    services = request.app[SERVICES]
    try:
        file = open_file(path)
    except OSError as error:
        raise web.HTTPServiceUnavailable(text=f"{path.name} cannot be read: {error.strerror}\n") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        response = respond(request, file, size, content_type=_LOADER_TYPES.get(path.suffix, _OCTETS), etag=etag)
        began = services.clock()
        await response.deliver(request)
        if request.method == "GET":
            _tell(request, response, kind, mac, details, began)
    return response


def _tell(
    request: web.Request,
    response: SentFile,
    kind: EventKind,
    mac: MacAddress | None,
    details: dict[str, Detail],
    began: float,
) -> None:
    """The event: the file's when its last byte went out, a failure when it broke off, nothing for an inner range."""
    services = request.app[SERVICES]
    now = services.clock()
    if response.complete and not response.reaches_end:
        return
    if not response.complete:
        kind = EventKind.TRANSFER_FAILED
    measured: dict[str, Detail] = {"bytes": response.sent, "seconds": round(now - began, 3), "by": "http"}
    services.record(Event(at=now, kind=kind, mac=mac, details={**details, **measured}))


def _etag(file: Artefact) -> str:
    return f'"{file.digest.hex}"'
