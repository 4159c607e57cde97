"""The stencils at hand, found by a packet's kind.

They are a memory of the edge and change no answer: all are dropped with their policies, and after the moment for which
the copy of the clients is trusted too (`netboot.store.directory`); then they are cut from fresh answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netboot.dhcp.decision import SERVER_PORT, Reply
from netboot.dhcp.kinds import Layout, layout_of
from netboot.dhcp.message import Message
from netboot.dhcp.packets import Outgoing, Packet
from netboot.dhcp.policy import Policy
from netboot.dhcp.stencil import Stencil, cut_stencil
from netboot.model.lease import Lease
from netboot.store.directory import MAX_AGE_S

# More kinds than a network has, few enough that who invents kinds costs little memory and time.
_MOST = 64


@dataclass(slots=True)
class _Shelf:
    """The stencils of one layout, by all that is no mark."""

    layout: Layout
    stencils: dict[object, Stencil] = field(default_factory=dict)


class Stencils:
    """Used with one set of policies at a time; others empty it."""

    def __init__(self) -> None:
        self._shelves: dict[int, list[_Shelf]] = {}  # by the packet's size
        self._count = 0
        self._policies: object = None
        self._since = 0.0

    def refresh(self, policies: object, now: float) -> None:
        """Drop the stencils of other policies, and those that are too old; once before each batch."""
        if policies is not self._policies or not 0 <= now - self._since < MAX_AGE_S:
            self._shelves.clear()
            self._count = 0
            self._policies, self._since = policies, now

    def fill(self, packet: Packet, now: float) -> tuple[tuple[Lease, ...], Outgoing] | None:
        """The leases that change and what is to be sent; None where no stencil helps."""
        if packet.arrival.port != SERVER_PORT:
            return None
        payload = packet.payload
        for shelf in self._shelves.get(len(payload), ()):
            stencil = shelf.stencils.get(shelf.layout.rest(payload))
            if stencil is not None:
                return stencil.fill(payload, now)
        return None

    def cut(self, packet: Packet, request: Message, policy: Policy, reply: Reply, sent: Outgoing) -> None:
        """Cut a stencil from how a packet was answered, unless there are enough for the moment."""
        layout = layout_of(packet.payload) if self._count < _MOST else None
        stencil = cut_stencil(request, layout, policy, reply.message, sent) if layout is not None else None
        if layout is None or stencil is None:
            return
        shelves = self._shelves.setdefault(len(packet.payload), [])
        shelf = next((each for each in shelves if each.layout.marks == layout.marks), None)
        if shelf is None:
            shelf = _Shelf(layout)
            shelves.append(shelf)
        shelf.stencils[layout.rest(packet.payload)] = stencil
        self._count += 1
