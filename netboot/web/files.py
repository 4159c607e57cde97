"""Kernels, initrds and loaders: who may have which file, and the event when it went out."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from netboot.boot.artefacts import SENT, bootable, fetchable
from netboot.boot.artefacts import artefact as find_artefact
from netboot.errors import NetbootError
from netboot.model.event import Detail, Event, EventKind
from netboot.model.image import Artefact
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import Firmware
from netboot.web.ranges import Span
from netboot.web.refusal import Refused
from netboot.web.response import Response
from netboot.web.sending import file_response, span_for
from netboot.web.services import Call, Permit, boot_request, client_of

# EDK2 goes by the type first (rule 5.3); an unknown one is refused there.
_LOADER_TYPES = {".efi": "application/efi", ".iso": "application/vnd.efi-iso", ".img": "application/vnd.efi-img"}
_OCTETS = "application/octet-stream"


async def artefact(call: Call) -> Response:
    """GET /boot/MAC/IMAGE/NUMBER/{vmlinuz,initrd.img}, of a version that this client may boot."""
    names = call.names
    key = names["mac"], names["image"], names["number"]
    mac, version = call.permits.get(key) or await _permit(call)
    call.permits.put(key, (mac, version))
    name = names["file"]
    file = find_artefact(version, name)
    details: dict[str, Detail] = {"file": name, "version": version.label}
    return _open(call, file.path, SENT[name], etag=_etag(file), mac=mac, details=details)


async def loader(call: Call) -> Response:
    """GET /loader/NAME, for UEFI HTTP boot."""
    name = call.names["name"]
    path = call.services.find_loader(name)
    if path is None:
        raise Refused(404, "no such loader\n")
    status = path.stat()
    return _open(
        call,
        path,
        EventKind.LOADER_SENT,
        etag=f'"{status.st_size:x}-{status.st_mtime_ns:x}"',
        mac=call.services.owner_of(call.peer),
        details={"file": name},
    )


async def _permit(call: Call) -> Permit:
    """The client and the version in the path, if it is one that its target lets it fetch, once it is exported.

    Raises 404 and 503.
    """
    mac = client_of(call)
    target = call.services.choose(boot_request(call, mac, firmware=Firmware.UNKNOWN))
    wanted = VersionRef(call.names["image"], int(call.names["number"]))
    try:
        version = fetchable(target, wanted, call.services.find_version)
        if version is None:
            raise Refused(404, f"{wanted} is not what this client boots: {target.reason}\n")
        await call.services.export(replace(bootable(target)[0], version=version))
    except NetbootError as error:
        raise Refused(503, f"{error}\n") from error
    return mac, version


def _open(
    call: Call,
    path: Path,
    kind: EventKind,
    *,
    etag: str,
    mac: MacAddress | None,
    details: dict[str, Detail],
) -> Response:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(503, f"{path.name} cannot be read: {error.strerror}\n") from error
    try:
        status, span = span_for(call.request.headers, os.fstat(descriptor).st_size, etag)
    except BaseException:
        os.close(descriptor)
        raise
    return file_response(
        descriptor,
        status,
        span,
        content_type=_LOADER_TYPES.get(path.suffix, _OCTETS),
        etag=etag,
        told=partial(_tell, call, span, kind, mac, details, call.services.clock()),
    )


def _tell(
    call: Call,
    span: Span,
    kind: EventKind,
    mac: MacAddress | None,
    details: dict[str, Detail],
    began: float,
    sent: int,
) -> None:
    """The event: the file's when its last byte went out, a failure when it broke off, nothing for an inner range."""
    complete = sent == span.count
    if complete and not span.reaches_end:
        return
    now = call.services.clock()
    measured: dict[str, Detail] = {"bytes": sent, "seconds": round(now - began, 3), "by": "http"}
    kind = kind if complete else EventKind.TRANSFER_FAILED
    call.services.record(Event(at=now, kind=kind, mac=mac, details={**details, **measured}))


def _etag(file: Artefact) -> str:
    return f'"{file.digest.hex}"'
