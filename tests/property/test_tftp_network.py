"""Transfers over networks that lose, double and disorder: the content arrives, whatever happens."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from netboot.tftp.blocks import PacketCache
from netboot.tftp.content import Content
from netboot.tftp.packet import (
    Data,
    OptionAck,
    PacketError,
    ack,
    decode,
    option_ack,
    request,
)
from netboot.tftp.static import components
from netboot.tftp.terms import Terms, negotiate
from netboot.tftp.transfer import Blocks, End, Signal, Step, Transfer

FATES = st.lists(st.sampled_from(["ok", "ok", "ok", "ok", "lost", "double", "late"]), max_size=120)


@dataclass
class Client:
    """A plain reader of RFC 1350 and 7440: acknowledges a window's end, and what it has when it sees a gap."""

    window: int
    blksize: int
    got: bytes = b""
    block: int = 0
    done: bool = False
    since_ack: int = 0
    last_said: bytes = field(default_factory=lambda: ack(0))

    def hear(self, packet: bytes) -> list[bytes]:
        heard = decode(packet)
        if isinstance(heard, OptionAck):
            return [self.say()] if self.block == 0 else []
        assert isinstance(heard, Data)
        if heard.block != (self.block + 1) & 0xFFFF:
            again = heard.block == self.block & 0xFFFF
            return [self.say()] if self.window > 1 or again else []
        self.block += 1
        self.got += heard.payload
        self.since_ack += 1
        self.done = len(heard.payload) < self.blksize
        return [self.say()] if self.done or self.since_ack == self.window else []

    def say(self) -> bytes:
        self.since_ack = 0
        self.last_said = ack(self.block)
        return self.last_said


class World:
    """Time, the network's queue, and a fate for each packet in turn; when the fates are used up all goes well."""

    def __init__(self, fates: list[str]) -> None:
        self.now = 0.0
        self.sent = 0
        self._fates = iter(fates)
        self._order = count()
        self._queue: list[tuple[float, int, str, bytes]] = []

    def send(self, to: str, packet: bytes) -> None:
        self.sent += 1
        fate = next(self._fates, "ok")
        delays = {"ok": (0.001,), "lost": (), "double": (0.001, 0.0015), "late": (0.004,)}[fate]
        for delay in delays:
            heapq.heappush(self._queue, (self.now + delay, next(self._order), to, packet))

    def next_before(self, deadline: float) -> tuple[str, bytes] | None:
        if not self._queue or self._queue[0][0] > deadline:
            self.now = deadline
            return None
        self.now, _, to, packet = heapq.heappop(self._queue)
        return to, packet


def run(size: int, window: int, fates: list[str]) -> tuple[Transfer, Client, World, End]:
    terms = Terms(blksize=8, window=window, oack=((b"windowsize", b"%d" % window),))
    content, cache = Content(bytes(n % 251 for n in range(size)), size), PacketCache(1 << 20)
    transfer, client, world = Transfer(size, terms), Client(window, 8), World(fates)
    step: Step = transfer.start(0.0)
    while not isinstance(step, End):
        if step is Signal.SEND_OACK:
            world.send("client", option_ack(terms.oack))
        elif isinstance(step, Blocks):
            for block in range(*step):
                chunk = cache.chunk(content, 8, block)
                start = (block - chunk.first) * 12
                world.send("client", bytes(chunk.packets[start : start + 12]))
        step = Signal.WAIT
        came = world.next_before(transfer.deadline)
        if came is None:
            step = transfer.expired(world.now)
        elif came[0] == "server":
            step = transfer.received(came[1], world.now)
        else:
            for answer in client.hear(came[1]):
                world.send("server", answer)
    return transfer, client, world, step


@settings(deadline=None)
@given(size=st.integers(0, 400), window=st.sampled_from([1, 2, 4, 16, 64]), fates=FATES)
@example(size=400, window=4, fates=["ok"] * 3 + ["lost"])
@example(size=16, window=1, fates=["ok", "ok", "ok", "double"])
def test_what_arrives_is_what_was_sent(size: int, window: int, fates: list[str]) -> None:
    transfer, client, world, end = run(size, window, fates)
    if transfer.answered and client.done:
        assert client.got == bytes(n % 251 for n in range(size))
    if "lost" not in fates:
        assert end is End.FINISHED
        assert client.done
    blocks = size // 8 + 1
    # Each misfortune costs at most two windows more, and an ACK for each packet.
    assert world.sent <= 2 * (blocks + 2) + 4 * (len(fates) + 8) * (window + 1)


@settings(deadline=None)
@given(size=st.integers(8, 400), window=st.sampled_from([1, 4, 16]), losses=st.sets(st.integers(1, 60), max_size=3))
def test_three_lost_packets_never_end_a_transfer(size: int, window: int, losses: set[int]) -> None:
    fates = ["lost" if number in losses else "ok" for number in range(61)]
    _, client, world, end = run(size, window, fates)
    assert end is End.FINISHED
    assert client.done
    assert client.got == bytes(n % 251 for n in range(size))
    assert world.now < 60


@given(st.binary(max_size=600))
@example(b"\0\x01a\0octet\0\0")
def test_decoding_raises_one_error_or_nothing(octets: bytes) -> None:
    try:
        decode(octets)
    except PacketError:
        return


@given(
    st.binary(min_size=1, max_size=80).filter(lambda name: b"\0" not in name),
    st.dictionaries(
        st.binary(min_size=1, max_size=10).filter(lambda name: b"\0" not in name).map(bytes.lower),
        st.binary(max_size=10).filter(lambda value: b"\0" not in value),
        max_size=5,
    ),
)
def test_a_request_is_read_as_it_was_written(name: bytes, options: dict[bytes, bytes]) -> None:
    heard: Any = decode(request(name, options=options))
    assert (heard.name, heard.mode, heard.options) == (name, b"octet", options)


@given(
    st.dictionaries(st.sampled_from([b"blksize", b"windowsize", b"timeout", b"tsize", b"x"]), st.binary(max_size=8)),
    st.dictionaries(st.sampled_from([b"blksize", b"windowsize", b"timeout", b"tsize"]), st.integers(0, 70_000)),
    st.integers(68, 65_536),
)
def test_an_answer_never_goes_beyond_what_was_asked(wild: dict[bytes, bytes], sane: dict[bytes, int], mtu: int) -> None:
    options = {**wild, **{name: b"%d" % value for name, value in sane.items()}}
    terms = negotiate(options, size=1000, mtu=mtu)
    for name, value in terms.oack:
        assert name in options
        if name in (b"blksize", b"windowsize"):
            assert int(value) <= int(options[name])
        if name == b"timeout":
            assert int(value) == int(options[name])
    assert 8 <= terms.blksize <= max(512, mtu - 32)


@given(st.binary(max_size=60))
def test_no_name_climbs(name: bytes) -> None:
    parts = components(name)
    assert parts is None or all(part not in (b"", b".", b"..") and b"/" not in part for part in parts)


def test_the_address_of_a_peer_is_no_part_of_a_name() -> None:
    assert components(str(IPv4Address("10.9.0.1")).encode()) == (b"10.9.0.1",)
