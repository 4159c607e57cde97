"""What clients report about themselves: initramfs, system, and iPXE when it could not start what it was given.

Anyone on the network can write here, so everything is bounded and cleaned, and an address that is leased to one
client cannot speak for another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from netboot.errors import InvalidInput
from netboot.model.event import Detail, Event, EventKind
from netboot.web.refusal import Refused
from netboot.web.request import Request
from netboot.web.response import Response
from netboot.web.services import Call, client_of

KINDS: Mapping[str, EventKind] = MappingProxyType(
    {
        str(kind): kind
        for kind in (
            EventKind.INITRAMFS_STARTED,
            EventKind.ROOT_AWAITED,
            EventKind.ROOT_RETRIED,
            EventKind.ROOT_MOUNTED,
            EventKind.ROOT_FAILED,
            EventKind.UP,
            EventKind.DISK_ATTACHED,
            EventKind.UPPER_FULL,
            EventKind.LOADER_FAILED,
        )
    }
)

_LOG_MAX = 8 * 1024
_TEXT_MAX = 300
_FIELDS_MAX = 16
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_INNER_LINE = re.compile(r"[\t\r\n]+")

_FORM = "application/x-www-form-urlencoded"
# A boot reports five times; a root that does not mount reports every few seconds.
RATE_BURST, RATE_REFILL_S = 20, 2.0


async def report(call: Call) -> Response:
    """POST (or GET, from loaders) /boot/MAC/report: 204 or, for GET, 200; 400, 403, 429 when refused."""
    services = call.services
    mac = client_of(call)
    now = services.clock()
    if not call.buckets.take(call.peer, now):
        raise Refused(429, "too many reports\n", ("Retry-After", "10"))
    owner = services.owner_of(call.peer)
    if owner is not None and owner != mac:
        raise Refused(403, "this address is leased to another client\n")
    try:
        kind, details = parse(_fields(call.request))
    except InvalidInput as error:
        raise Refused(400, f"{error.message}\n") from error
    if call.request.method != "HEAD":
        services.record(Event(at=now, kind=kind, mac=mac, details=details))
    if call.request.method == "POST":
        return Response(status=204)
    # iPXE reads a body without a length until the connection closes, which a 204 never tells it.
    return Response.of("noted\n")


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


def _fields(request: Request) -> list[tuple[str, str]]:
    if request.method != "POST":
        return read_form(request.query)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidInput(f"a report is {_FORM}")
    return read_form(request.body.decode("utf-8", "replace").strip())


def read_form(form: str) -> list[tuple[str, str]]:
    """The fields of a query or a form.  Raises `InvalidInput`."""
    try:
        return parse_qsl(form, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise InvalidInput(f"a report has at most {_FIELDS_MAX} fields, each once") from error
