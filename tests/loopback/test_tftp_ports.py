"""A range of ports for transfers (rule 4.4): every packet of ours leaves from one of them, errors too."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import pytest

from netboot.tftp.limits import TftpLimits
from tests.loopback.tftp_kit import serving, some_bytes, udp_client

RRQ = b"\0\x01%s\0octet\0"


@pytest.fixture
def ports() -> range:
    """Four ports in a row that are free now."""
    for first in range(40000, 60000, 7):
        with ExitStack() as stack:
            try:
                for port in range(first, first + 4):
                    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except OSError:
                continue
        return range(first, first + 4)
    raise AssertionError("no four free ports in a row")


def asked(sock: socket.socket, port: int, name: bytes) -> tuple[bytes, int]:
    """The opcode of the first answer, and from which port it came."""
    sock.sendto(RRQ % name, ("127.0.0.1", port))
    packet, (_, sender) = sock.recvfrom(2048)
    return packet[:2], sender


def asked_again(sock: socket.socket, port: int, name: bytes) -> tuple[bytes, int]:
    for _ in range(50):
        with suppress(TimeoutError):
            return asked(sock, port, name)
    raise TimeoutError


def test_transfers_and_errors_come_from_the_range(ports: range) -> None:
    with serving({b"file": some_bytes(5000)}, TftpLimits(ports=ports)) as served, ExitStack() as stack:
        clients = [stack.enter_context(udp_client()) for _ in range(3)]
        senders = {asked(client, served.port, b"file") for client in clients}
        assert {opcode for opcode, _ in senders} == {b"\0\x03"}
        assert len({port for _, port in senders}) == 3
        with udp_client() as client:
            senders.add(asked(client, served.port, b"missing"))
        assert {port for _, port in senders} <= set(ports)


def test_a_port_that_another_program_has_is_left_out(ports: range) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, ExitStack() as stack:
        other.bind(("127.0.0.1", ports[1]))
        with serving({b"file": some_bytes(5000)}, TftpLimits(ports=ports)) as served:
            clients = [stack.enter_context(udp_client()) for _ in range(3)]
            senders = {asked(client, served.port, b"file")[1] for client in clients}
    assert senders == set(ports) - {ports[1]}


def test_a_full_range_answers_again_when_a_transfer_has_ended(ports: range, caplog: pytest.LogCaptureFixture) -> None:
    with serving({b"file": some_bytes(5000)}, TftpLimits(ports=ports)) as served, ExitStack() as stack:
        clients = [stack.enter_context(udp_client()) for _ in ports]
        senders = [asked(client, served.port, b"file")[1] for client in clients]
        assert sorted(senders) == list(ports)
        with udp_client(timeout_s=0.3) as late:
            with pytest.raises(TimeoutError):
                asked(late, served.port, b"file")
            assert "tftp.ports is taken" in caplog.text
            clients[0].sendto(b"\0\x05\0\0enough\0", ("127.0.0.1", senders[0]))
            # The request may overtake the end of the transfer; a client asks again.
            assert asked_again(late, served.port, b"file") == (b"\0\x03", senders[0])
