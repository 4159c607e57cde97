"""A TFTP server on a free port with known files, and a relay that loses, doubles and disorders packets."""

from __future__ import annotations

import os
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from netboot.model.event import EventKind
from netboot.tftp.content import BootFile, Meaning, Missing
from netboot.tftp.events import TransferEvent, TransferKind
from netboot.tftp.limits import TftpLimits
from netboot.tftp.server import TftpServer

LOCALHOST = IPv4Address("127.0.0.1")
LOADER = Meaning(kind=EventKind.LOADER_SENT)


class Shelf:
    """A FileSource of bytes and paths, by exact name; a leading slash is taken off."""

    def __init__(self, files: Mapping[bytes, bytes | Path]) -> None:
        self._files = files

    def open(self, name: bytes, peer: IPv4Address) -> BootFile | Missing:
        assert peer == LOCALHOST
        held = self._files.get(name.lstrip(b"/"))
        if held is None:
            return Missing()
        if isinstance(held, bytes):
            return BootFile(content=held, size=len(held), meaning=LOADER)
        descriptor = os.open(held, os.O_RDONLY)
        return BootFile(content=descriptor, size=os.fstat(descriptor).st_size, meaning=LOADER)


@dataclass
class Served:
    """A running server and what it told."""

    server: TftpServer
    events: list[TransferEvent] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    def wait_for(self, kind: TransferKind, count: int = 1, timeout_s: float = 20.0) -> list[TransferEvent]:
        """The first `count` events of a kind; fails when they do not come."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            found = [event for event in self.events if event.kind is kind]
            if len(found) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"no {count} x {kind} within {timeout_s} s, only {self.events}")


@contextmanager
def serving(files: Mapping[bytes, bytes | Path], limits: TftpLimits | None = None) -> Iterator[Served]:
    events: list[TransferEvent] = []
    server = TftpServer(LOCALHOST, Shelf(files), events.append, 0, limits=limits)
    server.start()
    try:
        yield Served(server, events)
    finally:
        server.stop()


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@contextmanager
def udp_client(timeout_s: float = 5.0) -> Iterator[socket.socket]:
    """A plain socket that speaks what the test makes it speak."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(timeout_s)
        yield sock


# What becomes of a packet: how many seconds later each copy arrives; an empty tuple loses it.
Fate = Callable[[bytes], tuple[float, ...]]


def random_fate(seed: int, *, loss: float = 0.0, double: float = 0.0, late: float = 0.0) -> Fate:
    """Independent misfortunes of DATA and ACK by probability; what follows within 5 ms overtakes a late packet."""
    dice = random.Random(seed)

    def fate(packet: bytes) -> tuple[float, ...]:
        if packet[:2] not in (b"\0\x03", b"\0\x04") or packet == b"\0\x04\0\0":
            return (0.0,)  # atftp aborts on a second OACK, which the loss of ACK 0 brings too
        if dice.random() < loss:
            return ()
        delay = 0.005 if dice.random() < late else 0.0
        return (delay, delay + 0.001) if dice.random() < double else (delay,)

    return fate


@dataclass
class _Pair:
    """The two sockets of one relayed transfer: `down` faces the client, `up` the server."""

    client: tuple[str, int]
    server: tuple[str, int]
    down: socket.socket
    up: socket.socket


class Relay:
    """Stands between a client and the server; each direction has its fate."""

    def __init__(self, port: int, *, to_client: Fate, to_server: Fate) -> None:
        self._server = ("127.0.0.1", port)
        self._to_client, self._to_server = to_client, to_server
        self._front = _bound()
        self.port = int(self._front.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ)
        self._pairs: dict[socket.socket, _Pair] = {}
        self._waiting: list[tuple[float, socket.socket, bytes, tuple[str, int]]] = []
        self._stop = threading.Event()
        self.to_client_count = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for sock in [self._front, *self._pairs]:
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.001):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                try:
                    packet, sender = sock.recvfrom(65536)
                except OSError:
                    continue
                self._forward(sock, packet, sender)
            self._deliver()

    def _forward(self, sock: socket.socket, packet: bytes, sender: tuple[str, int]) -> None:
        if sock is self._front:
            pair = _Pair(sender, self._server, _bound(), _bound())
            for each in (pair.down, pair.up):
                self._pairs[each] = pair
                self._selector.register(each, selectors.EVENT_READ)
            self._schedule(self._to_server(packet), pair.up, packet, self._server)
            return
        pair = self._pairs[sock]
        if sock is pair.up:
            pair.server = sender
            self.to_client_count += 1
            self._schedule(self._to_client(packet), pair.down, packet, pair.client)
        else:
            self._schedule(self._to_server(packet), pair.up, packet, pair.server)

    def _schedule(self, delays: tuple[float, ...], sock: socket.socket, packet: bytes, to: tuple[str, int]) -> None:
        for delay in delays:
            if delay == 0.0:
                _send(sock, packet, to)
            else:
                self._waiting.append((time.monotonic() + delay, sock, packet, to))

    def _deliver(self) -> None:
        now = time.monotonic()
        due = [each for each in self._waiting if each[0] <= now]
        self._waiting = [each for each in self._waiting if each[0] > now]
        for _, sock, packet, to in sorted(due, key=lambda each: each[0]):
            _send(sock, packet, to)


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sock.bind(("127.0.0.1", 0))
    return sock


def _send(sock: socket.socket, packet: bytes, to: tuple[str, int]) -> None:
    try:
        sock.sendto(packet, to)
    except OSError:
        return  # the client is gone; so would the packet be
