"""Packets as the kernel hands them over, many at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from netboot.dhcp.decision import Arrival
from netboot.dhcp.destination import EVERYONE
from netboot.dhcp.intake import AT_ONCE, IP_PKTINFO, PACKET_MAX, Intake
from netboot.dhcp.packets import Packet

PORT = 4011


@pytest.fixture
def asked() -> Iterator[socket.socket]:
    with _socket() as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("0.0.0.0", 0))  # as DHCP's, so that one socket is asked by several addresses
        yield sock


def test_that_each_packet_comes_whole_with_its_sender_and_the_address_that_was_asked(asked: socket.socket) -> None:
    port = asked.getsockname()[1]
    with ExitStack() as stack:
        askers = [stack.enter_context(_socket(f"127.0.0.{number}")) for number in (11, 12, 13)]
        sent = []
        for number in range(3 * AT_ONCE):
            asker, to = askers[number % 3], f"127.0.1.{number % 5 + 1}"
            payload = number.to_bytes(2, "big") * (number * 7 % 600)
            asker.sendto(payload, (to, port))
            address, source_port = asker.getsockname()
            arrival = Arrival(source=(IPv4Address(address), source_port), destination=IPv4Address(to), port=PORT)
            sent.append(Packet(payload, arrival))

        intake = Intake()
        batches = [intake.take(asked, PORT) for _ in range(4)]

    assert [len(each) for each in batches] == [AT_ONCE, AT_ONCE, AT_ONCE, 0]
    assert [packet for batch in batches for packet in batch] == sent


def test_that_a_batch_leaves_nothing_behind_in_the_next(asked: socket.socket) -> None:
    port, intake = asked.getsockname()[1], Intake()
    with _socket("127.0.0.11") as first, _socket("127.0.0.12") as second:
        for _ in range(AT_ONCE):
            first.sendto(b"long" * 200, ("127.0.1.1", port))
        before = intake.take(asked, PORT)
        second.sendto(b"short", ("127.0.1.2", port))
        (after,) = intake.take(asked, PORT)

    assert {each.payload for each in before} == {b"long" * 200}
    assert after.payload == b"short"
    assert (after.arrival.source[0], after.arrival.destination) == (IPv4Address("127.0.0.12"), IPv4Address("127.0.1.2"))


def test_that_what_is_longer_than_any_message_is_cut(asked: socket.socket) -> None:
    with _socket("127.0.0.11") as asker:
        asker.sendto(bytes(PACKET_MAX + 100), ("127.0.0.1", asked.getsockname()[1]))
        asker.sendto(b"next", ("127.0.0.1", asked.getsockname()[1]))
        cut, after = Intake().take(asked, PORT)

    assert (len(cut.payload), after.payload) == (PACKET_MAX, b"next")


def test_that_a_socket_that_tells_no_address_was_asked_by_broadcast() -> None:
    with _socket("127.0.0.1") as asked, _socket("127.0.0.11") as asker:
        asker.sendto(b"who was asked?", asked.getsockname())
        (packet,) = Intake().take(asked, PORT)

    assert packet.arrival.destination == EVERYONE


def test_that_an_error_of_an_earlier_reply_is_told() -> None:
    with _socket("127.0.0.1") as gone:
        nobody = gone.getsockname()
    with _socket("127.0.0.1") as asked:
        asked.connect(nobody)
        asked.send(b"a reply")

        with pytest.raises(ConnectionRefusedError):
            Intake().take(asked, PORT)


def _socket(address: str | None = None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if address is not None:
        sock.bind((address, 0))
    return sock
