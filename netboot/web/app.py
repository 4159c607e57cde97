"""The boot listener's pages: what loaders and clients may ask for, on one screen.

Plain HTTP without any authentication, on the boot network: nothing here shows or changes configuration.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address

from netboot.web import boot, files, own, report
from netboot.web.eager import run_eagerly
from netboot.web.fresh import Fresh
from netboot.web.rate import Buckets
from netboot.web.refusal import Refused
from netboot.web.request import Request
from netboot.web.response import Response
from netboot.web.services import BootServices, Call, Permit

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Response]]


async def front(_: Call) -> Response:
    return Response.of("netboot boot listener\n")


_MAC = "/boot/(?P<mac>[^/]+)"

# HEAD is answered wherever GET is: EDK2 asks it first.
ROUTES: tuple[tuple[str, re.Pattern[str], Handler], ...] = (
    ("GET", re.compile(rf"{_MAC}/(?P<kind>ipxe|pxelinux|grub)"), boot.script),
    (
        "GET",
        re.compile(rf"{_MAC}/(?P<image>[^/]+)/(?P<number>[1-9][0-9]{{0,8}})/(?P<file>vmlinuz|initrd[.]img)"),
        files.artefact,
    ),
    ("GET", re.compile(rf"{_MAC}/data"), own.own_data),
    ("GET", re.compile(rf"{_MAC}/report"), report.report),
    ("POST", re.compile(rf"{_MAC}/report"), report.report),
    ("GET", re.compile("/autoexec[.]ipxe"), boot.autoexec),
    ("GET", re.compile("/loader/(?:[^/]+/)*autoexec[.]ipxe"), boot.autoexec),
    ("GET", re.compile("/loader/(?P<name>.+)"), files.loader),
    ("GET", re.compile("/"), front),
)

# Firmware joins prefixes carelessly, and must not be redirected.
_SLASHES = re.compile("//+")


class BootApp:
    """Answers requests."""

    def __init__(self, services: BootServices) -> None:
        self._services = services
        self._buckets = Buckets(burst=report.RATE_BURST, refill_s=report.RATE_REFILL_S)
        self._permits: Fresh[tuple[str, str, str], Permit] = Fresh(services.clock)

    def respond(
        self, request: Request, peer: IPv4Address, own: tuple[IPv4Address, int]
    ) -> Response | asyncio.Task[Response]:
        """The response to `peer`, who reached us at `own`; a task when an export has to be made first."""
        return run_eagerly(self._respond(request, peer, own))

    async def _respond(self, request: Request, peer: IPv4Address, own: tuple[IPv4Address, int]) -> Response:
        try:
            handler, match = find_route(request.method, request.path)
            call = Call(
                request=request,
                names=match.groupdict(),
                peer=peer,
                own=own,
                services=self._services,
                buckets=self._buckets,
                permits=self._permits,
            )
            return await handler(call)
        except Refused as refused:
            return Response.refusal(refused)
        except Exception:
            log.exception("a request for %r could not be answered", request.path)
            return Response.refusal(Refused(500, "this went wrong here; see the server's log\n"))


def find_route(method: str, path: str) -> tuple[Handler, re.Match[str]]:
    """Who answers, and the parts of the path.  Raises 404 or 405."""
    path = _SLASHES.sub("/", path)
    allowed: list[str] = []
    for known, pattern, handler in ROUTES:
        if match := pattern.fullmatch(path):
            if known == method or (known == "GET" and method == "HEAD"):
                return handler, match
            allowed += ["GET", "HEAD"] if known == "GET" else [known]
    if allowed:
        raise Refused(405, f"{method} is not for this\n", ("Allow", ", ".join(allowed)))
    raise Refused(404, "there is nothing here\n")
