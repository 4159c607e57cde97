"""The edge: packets in, `answer`, leases to disk, packets out.

Group commit: drain the sockets, answer all, write all changed leases in one transaction, then send.  There is no
timer: a batch is what was answered while the last one was written.  Replies that change no durable lease are sent
at once.  A packet that cannot be read or answered costs a line in the log, never the loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv4Address

from netboot.dhcp import relay
from netboot.dhcp.batch import Batch, take, take_arp
from netboot.dhcp.bundles import bundles
from netboot.dhcp.decision import BOOT_PORT, SERVER_PORT
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.link import Link
from netboot.dhcp.message import DecodeError, Message, decode
from netboot.dhcp.packets import Outgoing
from netboot.dhcp.policy import Policies
from netboot.dhcp.rivals import Rivals, foreign_reply
from netboot.dhcp.stencils import Stencils
from netboot.errors import NetbootError
from netboot.model.event import Event, EventKind

log = logging.getLogger(__name__)

# Packets of one port in one batch: bounds how long other work on the loop waits, some 20 ms.
_BATCH = 256
# Answers that are sent together: enough to share the way through the kernel, few enough to keep nobody waiting.
_TOGETHER = 32
# So many leases may wait for the one write that is under way; then we read no more until it has ended.
_WAITING = 4096
# So many answers may wait for firmware that wants them late; whoever asks for more of them gets them at once.
_LATE = 256
# What clients can provoke at will is told once a minute: a full pool, a packet that breaks us, a dead address.
_REPEAT_S = 60.0


class DhcpServer:
    """DHCP on one interface.

    `policy_source` is asked with every batch; the `ledger` is that of all interfaces; `record` must not block.
    """

    def __init__(
        self,
        interface: str,
        policy_source: Callable[[], Policies],
        ledger: Ledger,
        record: Callable[[Event], None],
        *,
        port: int = SERVER_PORT,
        boot_port: int = BOOT_PORT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._interface = interface
        self._policy_source = policy_source
        self._ledger = ledger
        self._record = record
        self._ports = port, boot_port
        self._clock = clock
        self._link: Link | None = None
        self._stencils = Stencils()
        self._waiting = Batch()
        self._writing: asyncio.Task[None] | None = None
        self._told_at: dict[str, float] = {}
        self._late: set[asyncio.TimerHandle] = set()
        self._rivals = Rivals()

    @property
    def ports(self) -> tuple[int, int]:
        """The ports for addresses and for boot files, as bound."""
        return (self._link.port, self._link.boot_port) if self._link else self._ports

    async def start(self) -> None:
        """Listen.  Raises `Unavailable` or `NotPermitted` with the fix in the hint."""
        shared = self._policy_source().shares_port
        self._link = Link(self._interface, port=self._ports[0], boot_port=self._ports[1], shared=shared)
        self._listen(self._link)

    async def stop(self) -> None:
        """Finish the batch that is being written, then close."""
        if self._link is None:
            return
        link, self._link = self._link, None
        self._pause(link)
        for timer in self._late:
            timer.cancel()
        self._late.clear()
        if self._writing is not None:
            await self._writing
        link.close()
        self._waiting = Batch()

    def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        for sock in link.sockets:
            loop.add_reader(sock, self._on_readable, link)

    def _pause(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        for sock in link.sockets:
            loop.remove_reader(sock)

    def _on_readable(self, link: Link) -> None:
        self._drain(link)
        if not self._waiting.leases:
            return
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write(link))
        elif len(self._waiting.leases) >= _WAITING:
            self._pause(link)

    async def _write(self, link: Link) -> None:
        """Write and send, as long as something was answered while we wrote."""
        while self._waiting.leases:
            batch, self._waiting = self._waiting, Batch()
            if self._link is link:
                self._listen(link)
            try:
                await self._ledger.commit()
            except Exception as error:
                # No ACK without a durable lease: the clients ask again, and the same leases are tried again.
                if self._is_news("cannot write"):
                    trace = None if isinstance(error, NetbootError) else error
                    words = "%s: %d leases could not be written, so their clients get no answer: %s"
                    log.error(words, self._interface, len(batch.leases), error, exc_info=trace)
            else:
                self._send(link, batch.replies)
                self._tell(batch.events)
        self._writing = None

    def _drain(self, link: Link) -> None:
        """Answer what has arrived; send what needs no writing, and let wait what does."""
        now, batch = self._clock(), self._waiting
        policies = self._policies()
        if policies is None:
            for _ in (*link.receive(_BATCH), *link.overheard(_BATCH)):
                pass  # or the sockets would stay readable for ever
            return
        self._stencils.refresh(policies, now)
        for claim in link.arp_claims():
            take_arp(claim, self._ledger, now, batch)
        ready: list[Outgoing] = []
        for packet in link.receive(_BATCH):
            try:
                ready += take(packet, policies, self._ledger, now, batch, self._stencils)
            except DecodeError as error:
                log.debug("%s: from %s: %s", self._interface, packet.arrival.source[0], error)
            except Exception:
                if self._is_news("no answer"):
                    log.exception("%s: no answer to %s", self._interface, packet.payload[:300].hex())
            if len(ready) >= _TOGETHER:
                self._send(link, ready)
                ready.clear()
        self._send(link, ready)
        if not batch.leases:
            self._tell(batch.events)
            batch.events.clear()
        self._tell_strangers(batch)
        for source, payload in link.overheard(_BATCH):
            with suppress(DecodeError):
                batch.overheard.append((source, decode(payload)))
        for source, message in batch.overheard:
            self._overhear(message, source, policies, now)
        batch.overheard.clear()

    def _overhear(self, message: Message, source: IPv4Address, policies: Policies, now: float) -> None:
        """Note what another server said.  What is news of it goes to the log, too."""
        link = relay.link_address(message)
        policy = (policies.networks.find(link) if link is not None else None) or policies.home
        heard = foreign_reply(message, source, policy)
        for event in self._rivals.hear(heard, policy, now) if heard else ():
            if event.mac is None:
                said = event.details
                what = said.get("sent") or f"the address {said.get('address')}"
                words = "%s: another DHCP server, %s, sends %s: %s"
                log.warning(words, self._interface, said["server"], what, said["meaning"])
            self._record(event)

    def _policies(self) -> Policies | None:
        try:
            return self._policy_source()
        except Exception:
            if self._is_news("no policy"):
                log.exception("%s: the configuration or the database cannot be read", self._interface)
            return None

    def _send(self, link: Link, replies: Iterable[Outgoing]) -> None:
        due = [each for each in replies if not (each.delay_s and self._send_late(link, each))]
        for alike in bundles(due):
            first = alike[0]
            try:
                link.send([each.payload for each in alike], first.to, source=first.source, port=first.port)
            except OSError as error:
                if self._is_news("cannot send"):
                    log.warning("%s: cannot send to %s: %s", self._interface, first.to.address, error.strerror)
                continue
            for reply in alike:
                if reply.probe is not None:
                    link.probe(reply.probe)
                self._tell(reply.events)

    def _send_late(self, link: Link, reply: Outgoing) -> bool:
        """For firmware that is not ready for an answer at once; whether there was room for one that waits."""
        if len(self._late) >= _LATE:
            return False

        def send() -> None:
            self._late.discard(timer)
            self._send(link, [reply._replace(delay_s=0.0)])

        timer = asyncio.get_running_loop().call_later(reply.delay_s, send)
        self._late.add(timer)
        return True

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind is EventKind.POOL_EXHAUSTED:
                if not self._is_news(f"{event.kind} {event.details.get('network')}"):
                    continue
                log.warning("%s: %s", self._interface, event.details.get("reason"))
            elif event.kind is EventKind.DISCOVERED and event.mac is not None:
                self._rivals.note(event.mac, event.at)
            self._record(event)

    def _tell_strangers(self, batch: Batch) -> None:
        """Rule 1.53: silence for a relay of a network that we do not know, and a word to the admin."""
        if batch.strangers and self._is_news("stranger"):
            words = "%s: no [[subnet]] holds %s, for which a relay asks; its clients get no answer"
            log.warning(words, self._interface, batch.strangers[0])
        batch.strangers.clear()

    def _is_news(self, what: str) -> bool:
        """Whether this was not told within the last minute."""
        now = self._clock()
        if now - self._told_at.get(what, float("-inf")) < _REPEAT_S:
            return False
        self._told_at[what] = now
        return True
