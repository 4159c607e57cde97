"""What is a client's own, sent to that client alone, while it boots."""

from __future__ import annotations

import logging

from netboot.boot.artefacts import bootable
from netboot.errors import NetbootError, NotPermitted
from netboot.model.event import Event, EventKind
from netboot.model.request import Firmware
from netboot.web.refusal import Refused
from netboot.web.response import Response
from netboot.web.services import Call, boot_request, client_of, own_address

log = logging.getLogger(__name__)

_TAR = "application/x-tar"


async def own_data(call: Call) -> Response:
    """GET /boot/MAC/data: a tar archive; 403 for anybody but that client, and for it too once its root is mounted.

    404 when there is nothing for it, 429 for who asks too often, 503 when the archive cannot be made.
    """
    services = call.services
    mac, now = client_of(call), services.clock()
    if not call.buckets.take(call.peer, now):
        raise Refused(429, "too many requests\n", ("Retry-After", "10"))
    target = services.choose(boot_request(call, mac, firmware=Firmware.UNKNOWN))
    images = [each for each in bootable(target) if each.has_own]
    if not images:
        raise Refused(404, "there is nothing of this client's own\n")
    server, _ = own_address(call)
    try:
        archive = await services.own_data(images[0], call.peer, server)
    except NotPermitted as error:
        log.warning("%s", error.message)
        details = {"address": str(call.peer), "reason": error.message}
        services.record(Event(at=now, kind=EventKind.DATA_REFUSED, mac=mac, details=details))
        raise Refused(403, f"{error.message}\n") from error
    except NetbootError as error:
        log.error("what is %s's own cannot be sent: %s", images[0].hostname, error)
        raise Refused(503, f"{error}\n") from error
    if call.is_get:
        services.record(Event(at=now, kind=EventKind.DATA_SENT, mac=mac, details={"bytes": len(archive)}))
    return Response(body=archive, content_type=_TAR)
