"""Connections on which nothing is asked: closed after a while, and soon when one address has many of them.

aiohttp waits for the rest of a request for ever.  Whoever opens connections by the thousand and sends half a request
on each would use up the daemon's descriptors, those of TFTP and of the database as well.  A connection is idle from
its opening, or from the end of its last answer, until its next request is whole.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRules:
    """`limit_s` is enough for firmware that works through a list; a browser opens six connections, a loader two."""

    limit_s: float = 75.0
    per_client: int = 32
    look_s: float = 2.0


class Idle:
    """Which connections are idle, and since when."""

    def __init__(self) -> None:
        self._busy: set[asyncio.BaseTransport] = set()
        self._since: dict[asyncio.BaseTransport, float] = {}

    async def watch(self, transports: Callable[[], Iterable[asyncio.Transport]], rules: IdleRules) -> None:
        """Close what is idle by the rules, until cancelled."""
        while True:
            await asyncio.sleep(rules.look_s)
            for transport in self.overdue(transports(), rules, now=time.monotonic()):
                transport.abort()

    def overdue(
        self, transports: Iterable[asyncio.Transport], rules: IdleRules, *, now: float
    ) -> list[asyncio.Transport]:
        """Those to be closed: idle for too long, and of each address the longest idle beyond its share."""
        idle = [each for each in transports if each not in self._busy]
        self._since = {each: self._since.get(each, now) for each in idle}
        of_client: defaultdict[object, list[asyncio.Transport]] = defaultdict(list)
        for each in sorted(idle, key=self._since.__getitem__, reverse=True):
            of_client[_address(each)].append(each)
        return [
            each
            for connections in of_client.values()
            for rank, each in enumerate(connections)
            if rank >= rules.per_client or now - self._since[each] >= rules.limit_s
        ]

    def middleware(self) -> Middleware:
        """Marks connections as busy while they are answered."""

        @web.middleware
        async def mark(request: web.Request, handler: Handler) -> web.StreamResponse:
            transport = request.transport
            if transport is None:
                return await handler(request)
            self._busy.add(transport)
            self._since.pop(transport, None)
            try:
                return await handler(request)
            finally:
                self._busy.discard(transport)

        return mark


def _address(transport: asyncio.Transport) -> object:
    peer = transport.get_extra_info("peername")
    return peer[0] if peer else None
