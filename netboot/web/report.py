"""What clients report about themselves: initramfs, system, and iPXE when it could not start what it was given.

Anyone on the network can write here, so everything is bounded and cleaned, and an address that is leased to one
client cannot speak for another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from aiohttp import web

from netboot.errors import InvalidInput
from netboot.model.event import Detail, Event, EventKind
from netboot.web.rate import Buckets
from netboot.web.services import SERVICES, client_of, peer_of

BODY_MAX_BYTES = 32 * 1024

KINDS: Mapping[str, EventKind] = MappingProxyType(
    {
        str(kind): kind
        for kind in (
            EventKind.INITRAMFS_STARTED,
            EventKind.ROOT_RETRIED,
            EventKind.ROOT_MOUNTED,
            EventKind.ROOT_FAILED,
            EventKind.UP,
            EventKind.LOADER_FAILED,
        )
    }
)

_LOG_MAX = 8 * 1024
_TEXT_MAX = 300
_FIELDS_MAX = 16
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_INNER_LINE = re.compile(r"[\t\r\n]+")

# A report is a few kilobytes in one or two packets.
_BODY_S = 10.0
# A boot reports five times; a root that does not mount reports every few seconds.
RATE_BURST, RATE_REFILL_S = 20, 2.0
BUCKETS = web.AppKey("buckets", Buckets)


async def report(request: web.Request) -> web.Response:
    """POST (or GET, from loaders) /boot/MAC/report: 204 or, for GET, 200; 400, 403, 413, 429 when refused."""
    services = request.app[SERVICES]
    mac = client_of(request)
    peer = peer_of(request)
    now = services.clock()
    if not request.app[BUCKETS].take(peer, now):
        raise web.HTTPTooManyRequests(text="too many reports\n", headers={"Retry-After": "10"})
    owner = services.owner_of(peer) if peer else None
    if owner is not None and owner != mac:
        raise web.HTTPForbidden(text="this address is leased to another client\n")
    try:
        kind, details = parse(await _fields(request))
    except InvalidInput as error:
        raise web.HTTPBadRequest(text=f"{error.message}\n") from error
    services.record(Event(at=now, kind=kind, mac=mac, details=details))
    if request.method == "GET":
        # iPXE reads a body without a length until the connection closes, which a 204 never tells it.
        return web.Response(text="noted\n")
    return web.Response(status=204)


def parse(fields: Iterable[tuple[str, str]]) -> tuple[EventKind, dict[str, Detail]]:
    """Kind and details of a report.  Raises `InvalidInput`; texts are cleaned and cut rather than refused."""
    pairs = list(fields)
    given = dict(pairs)
    if len(given) != len(pairs) or len(pairs) > _FIELDS_MAX:
        raise InvalidInput(f"a report has at most {_FIELDS_MAX} fields, each once")
    kind = KINDS.get(given.pop("kind", ""))
    if kind is None:
        raise InvalidInput(f"kind is one of {', '.join(KINDS)}")
    return kind, {name: _detail(name, value) for name, value in given.items()}


def _detail(name: str, value: str) -> Detail:
    if not _NAME.fullmatch(name):
        raise InvalidInput("a field's name is a short lower-case word")
    if name == "log":
        return "\n".join(_clean(line) for line in value.splitlines()).strip()[-_LOG_MAX:]
    if name == "attempt":
        if not (value.isascii() and value.isdigit() and len(value) <= 6):
            raise InvalidInput("attempt is a number")
        return int(value)
    return _clean(_INNER_LINE.sub(" ", value)).strip()[:_TEXT_MAX]


def _clean(line: str) -> str:
    """What can be printed: no control characters, escape sequences, bidirectional marks or lone surrogates."""
    return "".join(char if char == "\t" or char.isprintable() else "" for char in line)


async def _fields(request: web.Request) -> list[tuple[str, str]]:
    if request.method == "GET":
        return list(request.query.items())
    if request.content_type != "application/x-www-form-urlencoded":
        raise InvalidInput("a report is application/x-www-form-urlencoded")
    try:
        async with asyncio.timeout(_BODY_S):
            form = await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the report did not come to its end\n") from error
    return [(name, value) for name, value in form.items() if isinstance(value, str)]
