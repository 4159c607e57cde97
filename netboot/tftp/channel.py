"""One transfer's socket: connected to its client, so that the kernel sorts packets and strangers never get in.

A window leaves in one call: with UDP_SEGMENT the kernel cuts it into packets (Linux 4.18).  Where an interface
refuses that, the socket falls back to one packet a call and stays there.
"""

from __future__ import annotations

import errno
import math
import socket
from ipaddress import IPv4Address

from netboot.tftp import packet
from netboot.tftp.blocks import HEADER_BYTES, Chunk, PacketCache
from netboot.tftp.content import Content, Meaning
from netboot.tftp.ports import TransferPorts
from netboot.tftp.transfer import Blocks, Signal, Step, Transfer

# linux/udp.h and linux/in.h; Python's socket module does not name them.
_UDP_SEGMENT = 103
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT, _IP_MTU = 10, 0, 14

# The kernel takes at most 64 segments and one IP packet's worth of bytes in a call.
_BATCH_SEGMENTS = 64
_BATCH_BYTES = 65_507

_NO_OFFLOAD = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}


def connect(local: IPv4Address, peer: tuple[str, int], *, interface: str | None, ports: TransferPorts) -> socket.socket:
    """A socket on a port of its own (RFC 1350 section 4), sending from the address the client asked."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        # Fragments rather than losses when the path is narrower than we think.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        if interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        ports.bind(sock, local)
        sock.connect(peer)
    except OSError:
        sock.close()
        raise
    return sock


def path_mtu(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_IP, _IP_MTU)


class Channel:
    """A transfer, its socket and its file.  `pending` is what the socket's full buffer kept back.

    `waits_for_first` and `waits_for_room` are notes of whoever keeps it: the client has not spoken yet, and the
    kernel was asked to tell of room.
    """

    __slots__ = (
        "_batch",
        "_cache",
        "_chunk",
        "_oack",
        "_step_bytes",
        "content",
        "descriptor",
        "heard_at",
        "meaning",
        "name",
        "peer",
        "pending",
        "request",
        "sock",
        "started_at",
        "timer_at",
        "transfer",
        "waits_for_first",
        "waits_for_room",
    )

    def __init__(
        self, sock: socket.socket, transfer: Transfer, content: Content, cache: PacketCache, *, peer: tuple[str, int]
    ) -> None:
        self.sock = sock
        self.descriptor = sock.fileno()
        self.waits_for_first = True
        self.waits_for_room = False
        self.transfer = transfer
        self.content = content
        self.peer = peer
        self.pending: Blocks | None = None
        self.meaning: Meaning | None = None
        self.name = b""
        self.request = b""
        self.started_at = 0.0
        self.heard_at = 0.0
        self.timer_at = math.inf
        self._cache = cache
        self._chunk = Chunk(0, 0, memoryview(b""))
        self._step_bytes = transfer.terms.blksize + HEADER_BYTES
        self._oack = packet.option_ack(transfer.terms.oack)
        self._batch = self._offload() if transfer.terms.window > 1 else 1

    def carry_out(self, step: Step) -> None:
        """Send what the step asks for.  Raises OSError when the client or the network refuses."""
        if isinstance(step, Blocks):
            self._send_blocks(step)
        elif step is Signal.SEND_OACK:
            self.sock.send(self._oack)

    def _send_blocks(self, blocks: Blocks) -> None:
        position, end = blocks
        if self.pending is not None and self.pending.end == position:
            position = self.pending.first  # a window that slides goes on where the full buffer stopped it
        self.pending = None
        while position < end:
            chunk = self._chunk
            if not chunk.first <= position < chunk.end:
                chunk = self._chunk = self._cache.chunk(self.content, self._step_bytes - HEADER_BYTES, position)
            upto = min(end, chunk.end, position + self._batch)
            start = (position - chunk.first) * self._step_bytes
            try:
                self.sock.send(chunk.packets[start : (upto - chunk.first) * self._step_bytes])
            except BlockingIOError:
                self.pending = Blocks(position, end)
                return
            except OSError as refused:
                if self._batch == 1 or refused.errno not in _NO_OFFLOAD:
                    raise
                self._single()
                continue
            position = upto

    def _offload(self) -> int:
        """How many blocks go out in one call."""
        try:
            self.sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, self._step_bytes)
        except OSError:
            return 1
        return max(1, min(_BATCH_SEGMENTS, _BATCH_BYTES // self._step_bytes))

    def _single(self) -> None:
        self.sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 0)
        self._batch = 1
