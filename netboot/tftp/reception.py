"""Requests: which are answered at all, which belong to a transfer under way, and how a transfer begins.

Everything that can be refused is refused here, before anything is promised: a client that was sent an OACK gets
its file.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from netboot.errors import NetbootError
from netboot.tftp import packet
from netboot.tftp.blocks import PacketCache
from netboot.tftp.channel import Channel, connect, path_mtu
from netboot.tftp.content import BootFile, FileSource, Missing, OpenFiles, as_netascii
from netboot.tftp.events import TransferEvent, TransferKind
from netboot.tftp.limits import TftpLimits, ignored
from netboot.tftp.listener import Arrival
from netboot.tftp.packet import ErrorCode, Opcode, PacketError, Request
from netboot.tftp.ports import TransferPorts
from netboot.tftp.terms import negotiate
from netboot.tftp.transfer import Transfer
from netboot.tftp.transfers import Transfers

log = logging.getLogger(__name__)

# A request that comes again this soon after its transfer moved is a late copy, not a client that started anew.
_LATE_COPY_S = 1.0


class Reception:
    """Takes arrivals of the listening port, which is `port`."""

    def __init__(
        self,
        source: FileSource,
        transfers: Transfers,
        files: OpenFiles,
        on_event: Callable[[TransferEvent], None],
        *,
        port: int,
        limits: TftpLimits,
        interface: str | None,
    ) -> None:
        self._source = source
        self._transfers = transfers
        self._files = files
        self._on_event = on_event
        self._port = port
        self._limits = limits
        self._interface = interface
        self._ports = TransferPorts(limits.ports)
        self._cache = PacketCache(limits.cache_bytes)

    def take(self, arrival: Arrival) -> None:
        """Answer a packet, or leave it."""
        why_not = ignored(arrival.peer, arrival.local, port=self._port, limits=self._limits)
        if why_not is not None or arrival.local is None:
            log.debug("tftp: a packet from %s port %d is ignored: %s", *arrival.peer, why_not)
            return
        if arrival.packet[:2] not in (b"\0\x01", b"\0\x02"):
            return  # an ERROR is never answered with an ERROR, nor is a stray ACK worth one
        if self._is_repeat(arrival):
            return
        try:
            request = packet.decode(arrival.packet)
        except PacketError as error:
            self._refuse(arrival, ErrorCode.ILLEGAL, error.message)
            return
        if isinstance(request, Request):
            self._answer(request, arrival, arrival.local)

    def _is_repeat(self, arrival: Arrival) -> bool:
        """Whether the request belongs to a transfer that goes on.  Any other from the same port replaces it."""
        channel = self._transfers.with_peer(arrival.peer)
        if channel is None:
            return False
        now = time.monotonic()
        if channel.request == arrival.packet and not channel.transfer.answered:
            self._transfers.take(channel, channel.transfer.repeated_request(now))
            return True
        if channel.request == arrival.packet and now - channel.heard_at < _LATE_COPY_S:
            return True
        self._transfers.abort(channel, "a new request came from the same port")
        return False

    def _answer(self, request: Request, arrival: Arrival, local: IPv4Address) -> None:
        if request.opcode is Opcode.WRQ:
            self._refuse(arrival, ErrorCode.ACCESS, "this server is read-only", request.name)
            return
        if request.mode not in (b"octet", b"netascii"):
            self._refuse(arrival, ErrorCode.ILLEGAL, "unknown transfer mode", request.name)
            return
        if not self._admitted(arrival):
            return
        try:
            found = self._source.open(request.name, IPv4Address(arrival.peer[0]))
            if isinstance(found, BootFile) and request.mode == b"netascii":
                found = as_netascii(found)
        except (NetbootError, OSError) as error:
            log.warning("tftp: %s for %s: %s", packet.printable(request.name), arrival.peer[0], error)
            self._refuse(arrival, ErrorCode.UNDEFINED, getattr(error, "message", "cannot read"), request.name)
            return
        if isinstance(found, Missing):
            self._refuse(arrival, found.code, found.reason, request.name)
        else:
            self._begin(request, found, arrival, local)

    def _admitted(self, arrival: Arrival) -> bool:
        if self._transfers.of_client(arrival.peer[0]) >= self._limits.max_per_client:
            self._refuse(arrival, ErrorCode.UNDEFINED, "too many transfers at once")
            return False
        # When all is full and everyone is alive, silence: the client asks again by itself.
        return len(self._transfers) < self._limits.max_transfers or self._transfers.make_room()

    def _begin(self, request: Request, file: BootFile, arrival: Arrival, local: IPv4Address) -> None:
        content = self._files.share(file)
        try:
            sock = connect(local, arrival.peer, interface=self._interface, ports=self._ports)
        except OSError as error:
            self._files.release(content)
            log.warning("tftp: no socket for %s port %d: %s", *arrival.peer, error)
            return
        # Netascii's length on the wire is not the file's (RFC 2349 leaves tsize undefined there).
        size = None if request.mode == b"netascii" else content.size
        terms = negotiate(
            request.options,
            size=size,
            mtu=path_mtu(sock),
            max_blksize=self._limits.max_blksize,
            max_window=self._limits.max_window,
        )
        channel = Channel(sock, Transfer(content.size, terms), content, self._cache, peer=arrival.peer)
        channel.name, channel.request, channel.meaning = request.name, arrival.packet, file.meaning
        self._transfers.begin(channel, time.monotonic())

    def _refuse(self, arrival: Arrival, code: ErrorCode, message: str, name: bytes = b"") -> None:
        """One ERROR from a fresh port (RFC 1350 section 4); nothing is kept."""
        if arrival.local is None:
            return
        with (
            contextlib.suppress(OSError),
            connect(arrival.local, arrival.peer, interface=self._interface, ports=self._ports) as sock,
        ):
            sock.send(packet.error(code, message))
        self._on_event(
            TransferEvent(
                kind=TransferKind.MISSING,
                peer=IPv4Address(arrival.peer[0]),
                name=packet.printable(name),
                reason=message,
            )
        )
