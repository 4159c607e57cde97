"""The transfers under way: their sockets in one epoll, their timers in one heap, and how each one ends.

Whatever goes wrong in one transfer ends that transfer only.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import math
import select
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address

from netboot.errors import NetbootError
from netboot.tftp import packet
from netboot.tftp.channel import Channel
from netboot.tftp.content import OpenFiles
from netboot.tftp.events import TransferEvent, TransferKind
from netboot.tftp.packet import ErrorCode
from netboot.tftp.transfer import End, Step

log = logging.getLogger(__name__)

_KINDS = {End.FINISHED: TransferKind.FINISHED, End.PROBED: TransferKind.PROBE, End.FAILED: TransferKind.FAILED}

# What a client sends during a transfer is an ACK of 4 bytes or an ERROR with a sentence.
_REPLY_MAX = 400


class Transfers:
    """All channels, by descriptor and by peer.  Used by one thread only."""

    def __init__(self, epoll: select.epoll, files: OpenFiles, on_event: Callable[[TransferEvent], None]) -> None:
        self._epoll = epoll
        self._files = files
        self._on_event = on_event
        self._by_descriptor: dict[int, Channel] = {}
        self._by_peer: dict[tuple[str, int], Channel] = {}
        self._unanswered: dict[int, Channel] = {}
        self._per_client: Counter[str] = Counter()
        self._timers: list[tuple[float, int, Channel]] = []

    def __len__(self) -> int:
        return len(self._by_descriptor)

    def at(self, descriptor: int) -> Channel | None:
        return self._by_descriptor.get(descriptor)

    def with_peer(self, peer: tuple[str, int]) -> Channel | None:
        return self._by_peer.get(peer)

    def of_client(self, address: str) -> int:
        return self._per_client[address]

    def begin(self, channel: Channel, now: float) -> None:
        """Take the channel in and send its first packet."""
        descriptor = channel.descriptor
        self._by_descriptor[descriptor] = self._by_peer[channel.peer] = self._unanswered[descriptor] = channel
        self._per_client[channel.peer[0]] += 1
        self._epoll.register(descriptor, select.EPOLLIN)
        channel.started_at = now
        self.take(channel, channel.transfer.start(now))

    def ready(self, channel: Channel, mask: int) -> None:
        """The channel's socket has a packet, an error, or room again."""
        try:
            reply = channel.sock.recv(_REPLY_MAX)
        except BlockingIOError:
            reply = b""
        except ConnectionRefusedError:
            self.end(channel, channel.transfer.refused())
            return
        except OSError as error:
            log.debug("tftp: receiving from %s port %d: %s", *channel.peer, error)
            return
        if reply:
            channel.heard_at = now = time.monotonic()
            self.take(channel, channel.transfer.received(reply, now))
        elif mask & select.EPOLLOUT and channel.pending is not None:
            self.take(channel, channel.pending)

    def take(self, channel: Channel, step: Step) -> None:
        """Carry out a step, end the transfer if it is an end, and keep its timer."""
        if isinstance(step, End):
            self.end(channel, step)
            return
        try:
            channel.carry_out(step)
        except ConnectionRefusedError:
            self.end(channel, channel.transfer.refused())
            return
        except NetbootError as error:
            self.abort(channel, error.message)
            return
        except OSError as error:
            # As good as a lost packet: the timer tries again.
            log.debug("tftp: sending to %s port %d: %s", *channel.peer, error)
        self._keep_up(channel)

    def next_timer(self) -> float | None:
        """When `expire` is due, as the monotonic clock counts."""
        return self._timers[0][0] if self._timers else None

    def expire(self, now: float) -> None:
        """Run the timers.  A deadline usually moves on with every ACK; its entry is only then put back, here."""
        while self._timers and self._timers[0][0] <= now:
            at, descriptor, channel = heapq.heappop(self._timers)
            if self._by_descriptor.get(descriptor) is not channel or at != channel.timer_at:
                continue
            channel.timer_at = math.inf
            if channel.transfer.deadline > now:
                channel.timer_at = channel.transfer.deadline
                heapq.heappush(self._timers, (channel.timer_at, descriptor, channel))
            else:
                self.take(channel, channel.transfer.expired(now))

    def make_room(self) -> bool:
        """Give up the transfer that has waited longest for its client's first word; False when there is none."""
        oldest = next(iter(self._unanswered.values()), None)
        if oldest is None:
            return False
        oldest.transfer.reason = "the client never answered, and others waited"
        self.end(oldest, End.FAILED)
        return True

    def abort(self, channel: Channel, message: str) -> None:
        """End a transfer from our side and tell the client."""
        channel.transfer.reason = message
        with contextlib.suppress(OSError):
            channel.sock.send(packet.error(ErrorCode.UNDEFINED, message))
        self.end(channel, End.FAILED)

    def abort_all(self, message: str) -> None:
        for channel in tuple(self._by_descriptor.values()):
            self.abort(channel, message)

    def end(self, channel: Channel, end: End) -> None:
        descriptor = channel.descriptor
        if self._by_descriptor.pop(descriptor, None) is None:
            return
        self._unanswered.pop(descriptor, None)
        if self._by_peer.get(channel.peer) is channel:
            del self._by_peer[channel.peer]
        self._per_client[channel.peer[0]] -= 1
        if not self._per_client[channel.peer[0]]:
            del self._per_client[channel.peer[0]]
        self._epoll.unregister(descriptor)
        channel.sock.close()
        self._files.release(channel.content)
        self._tell(channel, end)

    def _keep_up(self, channel: Channel) -> None:
        """Bring the bookkeeping of a transfer that goes on up to date."""
        if channel.waits_for_first and channel.transfer.answered:
            channel.waits_for_first = False
            self._unanswered.pop(channel.descriptor, None)
        if channel.transfer.deadline < channel.timer_at:
            channel.timer_at = channel.transfer.deadline
            heapq.heappush(self._timers, (channel.timer_at, channel.descriptor, channel))
        is_full = channel.pending is not None
        if is_full != channel.waits_for_room:
            channel.waits_for_room = is_full
            self._epoll.modify(channel.descriptor, select.EPOLLIN | (select.EPOLLOUT if is_full else 0))

    def _tell(self, channel: Channel, end: End) -> None:
        terms = channel.transfer.terms
        event = TransferEvent(
            kind=_KINDS[end],
            peer=IPv4Address(channel.peer[0]),
            name=packet.printable(channel.name),
            size=channel.content.size,
            seconds=max(0.0, channel.heard_at - channel.started_at),
            blksize=terms.blksize,
            window=terms.window,
            retransmits=channel.transfer.retransmits,
            reason=channel.transfer.reason,
            meaning=channel.meaning,
        )
        try:
            self._on_event(event)
        except Exception:
            log.exception("tftp: an event could not be handed on")
