"""Connections on which nothing is asked: closed after a while, and soon when one address has many of them.

Whoever opens connections by the thousand and sends half a request on each would use up the daemon's descriptors,
those of TFTP and of the database as well.  A connection is idle from its opening, or from the end of its last answer,
until its next request is whole.  Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRules:
    """`limit_s` is enough for firmware that works through a list; a browser opens six connections, a loader two."""

    limit_s: float = 75.0
    per_client: int = 32
    look_s: float = 2.0


class Idle(Protocol):
    """A connection that is idle since a time."""

    @property
    def peer(self) -> IPv4Address: ...

    @property
    def since(self) -> float: ...


Connection = TypeVar("Connection", bound=Idle)


def overdue(idle: Iterable[Connection], rules: IdleRules, *, now: float) -> list[Connection]:
    """Those to be closed: idle for too long, and of each address the longest idle beyond its share."""
    of_client: defaultdict[IPv4Address, list[Connection]] = defaultdict(list)
    for each in sorted(idle, key=lambda each: each.since, reverse=True):
        of_client[each.peer].append(each)
    return [
        each
        for connections in of_client.values()
        for rank, each in enumerate(connections)
        if rank >= rules.per_client or now - each.since >= rules.limit_s
    ]
