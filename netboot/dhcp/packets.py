"""A packet as it came in, and a reply as it goes out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.dhcp.decision import Arrival
from netboot.dhcp.destination import Destination
from netboot.model.event import Event


@dataclass(frozen=True, slots=True)
class Packet:
    payload: bytes
    arrival: Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A reply ready to be sent from `source` and our `port`, after `delay_s`; `events` are told once it was."""

    payload: bytes
    to: Destination
    source: IPv4Address
    port: int
    events: tuple[Event, ...] = ()
    probe: IPv4Address | None = None
    delay_s: float = 0.0
