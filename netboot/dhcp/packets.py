"""A packet as it came in, and a reply as it goes out: tuples, as tens of thousands a second are made."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from netboot.dhcp.decision import Arrival
from netboot.dhcp.destination import Destination
from netboot.model.event import Event


class Packet(NamedTuple):
    payload: bytes
    arrival: Arrival


class Outgoing(NamedTuple):
    """A reply ready to be sent from `source` and our `port`, after `delay_s`; `events` are told once it was."""

    payload: bytes
    to: Destination
    source: IPv4Address
    port: int
    events: tuple[Event, ...] = ()
    probe: IPv4Address | None = None
    delay_s: float = 0.0
