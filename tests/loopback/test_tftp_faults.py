"""The TFTP server on bad networks and among bad neighbours: losses, doubles, floods, garbage, firmware's habits."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.tftp.events import TransferKind
from netboot.tftp.limits import TftpLimits
from netboot.tftp.packet import Data, Error, Opcode, OptionAck, Packet, ack, decode, error, request
from netboot.tftp.packet import ErrorCode as Code
from netboot.tftp.server import TftpServer
from tests.loopback.tftp_kit import LOCALHOST, Relay, Shelf, random_fate, serving, some_bytes, udp_client


def hear(sock: socket.socket) -> tuple[Packet, tuple[str, int]]:
    packet, sender = sock.recvfrom(65536)
    return decode(packet), sender


def ask(sock: socket.socket, port: int, name: bytes, **options: int) -> tuple[Packet, tuple[str, int]]:
    sock.sendto(
        request(name, options={key.encode(): b"%d" % value for key, value in options.items()}), ("127.0.0.1", port)
    )
    return hear(sock)


def read_all(port: int, name: bytes = b"loader") -> bytes:
    """A good client, in lock-step."""
    got = b""
    with udp_client() as sock:
        sock.sendto(request(name), ("127.0.0.1", port))
        while True:
            data, sender = hear(sock)
            assert isinstance(data, Data), data
            sock.sendto(ack(data.block), sender)
            got += data.payload
            if len(data.payload) < 512:
                return got


def atftp_through(relay: Relay, to: Path, *, window: int) -> subprocess.CompletedProcess[bytes]:
    options = ["--option", "blksize 1428", "--option", f"windowsize {window}"]
    argv = ["atftp", *options, "-g", "-r", "loader", "-l", str(to), "127.0.0.1", str(relay.port)]
    return subprocess.run(argv, capture_output=True, timeout=100)


@dataclass(frozen=True)
class Network:
    """Probabilities of misfortune towards the client and towards the server."""

    to_client: dict[str, float]
    to_server: dict[str, float]


NETWORKS = {
    "loses-data": Network({"loss": 0.02}, {}),
    "loses-acks": Network({}, {"loss": 0.05}),
    "doubles-all": Network({"double": 0.5}, {"double": 0.5}),
    "disorders": Network({"late": 0.02}, {"late": 0.02}),
    "everything": Network({"loss": 0.01, "double": 0.05, "late": 0.02}, {"loss": 0.01, "double": 0.05}),
}


@pytest.mark.parametrize("window", [1, 4, 16, 64])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_bad_network_only_delays(network: str, window: int, tmp_path: Path) -> None:
    """Rule 4.22: the content arrives, soon, and the packets sent stay within bounds."""
    content = some_bytes(400_000)
    blocks = len(content) // 1428 + 1
    plan = NETWORKS[network]
    to_client, to_server = random_fate(1, **plan.to_client), random_fate(2, **plan.to_server)
    with serving({b"loader": content}) as served, Relay(served.port, to_client=to_client, to_server=to_server) as relay:
        began = time.monotonic()
        done = atftp_through(relay, tmp_path / "got", window=window)
        took_s = time.monotonic() - began
        assert done.returncode == 0, done
        # A packet lost or overtaken costs what is left of its window; one that is doubled costs next to nothing.
        assert relay.to_client_count < blocks * (8 if network == "everything" else 4) + 200
    assert (tmp_path / "got").read_bytes() == content
    # When the ACK of a window is lost, atftp ignores the window that comes again and waits for its own 5 s timer.
    if window == 1 or "loss" not in plan.to_server:
        assert took_s < 5, "a lost packet waited for a slow timer"


def test_edk2_asks_for_the_size_first() -> None:
    """Trap 0.10: RRQ with tsize, OACK, ERROR 8; then the transfer without tsize, from another port."""
    with serving({b"loader": some_bytes(3000)}) as served:
        with udp_client() as sock:
            oack, sender = ask(sock, served.port, b"loader", tsize=0, blksize=1468)
            assert oack == OptionAck({b"tsize": b"3000", b"blksize": b"1468"})
            sock.sendto(error(Code.OPTIONS, "User aborted the transfer"), sender)
            served.wait_for(TransferKind.PROBE)
        assert read_all(served.port) == some_bytes(3000)
        served.wait_for(TransferKind.FINISHED)
    assert {event.kind for event in served.events} == {TransferKind.PROBE, TransferKind.FINISHED}


def test_a_probe_that_just_closes_its_port_is_no_failure() -> None:
    with serving({b"loader": some_bytes(3000)}) as served:
        with udp_client() as sock:
            ask(sock, served.port, b"loader", tsize=0)
        served.wait_for(TransferKind.PROBE)


def test_a_client_that_never_acknowledges_the_end_is_served() -> None:
    """Rule 4.21: its socket is closed, or it is silent."""
    with serving({b"loader": some_bytes(700)}) as served:
        with udp_client() as sock:
            first, sender = ask(sock, served.port, b"loader")
            assert first == Data(1, some_bytes(700)[:512])
            sock.sendto(ack(1), sender)
            assert hear(sock)[0] == Data(2, some_bytes(700)[512:])
        served.wait_for(TransferKind.FINISHED)


def test_a_request_that_comes_twice_is_one_transfer() -> None:
    """Rule 4.5: before the first ACK, the first packet again, from the same port."""
    with serving({b"loader": some_bytes(3000)}) as served, udp_client() as sock:
        _, first = ask(sock, served.port, b"loader", blksize=1024)
        again, second = ask(sock, served.port, b"loader", blksize=1024)
        assert isinstance(again, OptionAck)
        assert first == second


def test_a_new_request_from_the_same_port_replaces_the_old() -> None:
    with serving({b"loader": some_bytes(3000), b"other": b"o"}) as served, udp_client() as sock:
        _, old = ask(sock, served.port, b"loader")
        sock.sendto(ack(1), old)
        hear(sock)
        sock.sendto(request(b"other"), ("127.0.0.1", served.port))
        told, _ = hear(sock)
        assert isinstance(told, Error)
        assert hear(sock)[0] == Data(1, b"o")
        served.wait_for(TransferKind.FAILED)


def test_a_repeated_ack_does_not_double_the_transfer() -> None:
    """RFC 1123 4.2.3.1: two ACKs of one block bring one next block."""
    with serving({b"loader": some_bytes(3000)}) as served, udp_client(0.02) as sock:
        _, sender = ask(sock, served.port, b"loader", timeout=5)
        sock.sendto(ack(0), sender)
        assert hear(sock)[0] == Data(1, some_bytes(3000)[:512])
        for _ in range(2):
            sock.sendto(ack(1), sender)
        assert hear(sock)[0] == Data(2, some_bytes(3000)[512:1024])
        with pytest.raises(TimeoutError):
            hear(sock)


def test_the_interval_the_client_asked_is_kept() -> None:
    with serving({b"loader": some_bytes(3000)}) as served, udp_client(3) as sock:
        _, sender = ask(sock, served.port, b"loader", timeout=1)
        sock.sendto(ack(0), sender)
        hear(sock)
        began = time.monotonic()
        assert isinstance(hear(sock)[0], Data)
        assert 0.9 < time.monotonic() - began < 1.8


def test_an_answer_comes_from_a_port_of_its_own_and_the_address_asked() -> None:
    with serving({b"loader": b"x"}) as served, udp_client() as sock:
        sock.sendto(request(b"loader"), ("127.0.0.1", served.port))
        _, (address, port) = hear(sock)
        assert address == "127.0.0.1"
        assert port != served.port
    server = TftpServer(IPv4Address("0.0.0.0"), Shelf({b"loader": b"x"}), lambda event: None, 0)
    server.start()
    try:
        with udp_client() as sock:
            sock.sendto(request(b"loader"), ("127.0.0.77", server.port))
            assert hear(sock)[1][0] == "127.0.0.77"
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (request(b"nothing"), Code.NOT_FOUND),
        (request(b"loader", opcode=Opcode.WRQ), Code.ACCESS),
        (request(b"loader", mode=b"mail"), Code.ILLEGAL),
        (b"\0\x01loader", Code.ILLEGAL),
        (b"\0\x01\0octet\0", Code.ILLEGAL),
        (b"\0\x01loader\0octet\0blksize\0", Code.ILLEGAL),
    ],
)
def test_what_is_refused(packet: bytes, code: Code) -> None:
    with serving({b"loader": b"x"}) as served, udp_client() as sock:
        sock.sendto(packet, ("127.0.0.1", served.port))
        refusal, (_, port) = hear(sock)
        assert isinstance(refusal, Error)
        assert refusal.code == code
        assert port != served.port


@pytest.mark.parametrize("packet", [ack(1), error(Code.NOT_FOUND, "x"), b"", b"\0", b"\0\x09abc", b"\0\x03\0\x01data"])
def test_what_is_not_a_request_gets_no_answer(packet: bytes) -> None:
    with serving({b"loader": b"x"}) as served, udp_client(0.2) as sock:
        sock.sendto(packet, ("127.0.0.1", served.port))
        with pytest.raises(TimeoutError):
            hear(sock)


def test_an_address_outside_the_served_networks_gets_no_answer() -> None:
    limits = TftpLimits(served=(IPv4Network("10.9.0.0/24"),))
    with serving({b"loader": b"x"}, limits) as served, udp_client(0.3) as sock:
        sock.sendto(request(b"loader"), ("127.0.0.1", served.port))
        with pytest.raises(TimeoutError):
            hear(sock)


def test_one_client_cannot_take_all_transfers() -> None:
    with serving({b"loader": some_bytes(3000)}, TftpLimits(max_per_client=3)) as served:
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        try:
            answers = []
            for sock in sockets:
                sock.settimeout(5)
                answers.append(ask(sock, served.port, b"loader")[0])
        finally:
            for sock in sockets:
                sock.close()
    assert [type(answer) for answer in answers] == [Data, Data, Data, Error]


def test_when_all_is_taken_the_one_that_never_answered_makes_room() -> None:
    with serving({b"loader": some_bytes(3000)}, TftpLimits(max_transfers=2)) as served:
        with udp_client() as silent, udp_client() as alive:
            ask(silent, served.port, b"loader")
            _, sender = ask(alive, served.port, b"loader")
            alive.sendto(ack(1), sender)
            hear(alive)
            assert read_all(served.port) == some_bytes(3000)
        failed = served.wait_for(TransferKind.FAILED)
    assert "never answered" in failed[0].reason


def test_a_silent_client_gets_five_small_packets_and_no_more() -> None:
    """Rule 4.31: what a forged address can make us send."""
    with serving({b"loader": some_bytes(300_000)}) as served, udp_client(18) as sock:
        sock.sendto(request(b"loader", options={b"windowsize": b"64", b"blksize": b"1428"}), ("127.0.0.1", served.port))
        heard = []
        with pytest.raises(TimeoutError):
            while True:
                heard.append(sock.recv(65536))
                if len(heard) == 5:
                    sock.settimeout(9)
        served.wait_for(TransferKind.FAILED)
    assert len(heard) == 5
    assert max(map(len, heard)) < 60


def test_ten_thousand_mutated_packets_and_the_next_client_is_served() -> None:
    dice = random.Random(20)
    seeds = [
        request(b"loader", options={b"blksize": b"1428", b"tsize": b"0", b"windowsize": b"4", b"timeout": b"1"}),
        request(b"\\boot\\loader", mode=b"netascii"),
        b"\0\x02loader\0octet\0",
        ack(1),
        error(Code.OPTIONS, "x"),
        b"\0\x03\0\x01" + bytes(512),
    ]
    limits = TftpLimits(max_transfers=200, max_per_client=200)
    with serving({b"loader": some_bytes(100_000)}, limits) as served:
        before_kib = _resident_kib()
        with udp_client(0.0) as sock:
            for number in range(10_000):
                sock.sendto(_mutated(dice.choice(seeds), dice), ("127.0.0.1", served.port))
                if number % 100 == 0:
                    _drain(sock)
                    time.sleep(0.005)  # let it read rather than let the kernel drop
        assert read_all(served.port) == some_bytes(100_000)
        assert len(served.events) > 1000
        assert _resident_kib() - before_kib < 64 * 1024


def _mutated(packet: bytes, dice: random.Random) -> bytes:
    octets = bytearray(packet)
    for _ in range(dice.randint(1, 6)):
        position = dice.randrange(len(octets) + 1)
        match dice.randrange(4):
            case 0 if octets:
                octets[position % len(octets)] = dice.randrange(256)
            case 1:
                octets[position:position] = dice.randbytes(dice.randint(1, 20))
            case 2:
                del octets[position : position + dice.randint(1, 8)]
            case _:
                octets[position:position] = octets[:position]
    return bytes(octets[:1400])


def _drain(sock: socket.socket) -> None:
    try:
        while True:
            sock.recv(65536)
    except BlockingIOError:
        return


def _resident_kib() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_a_port_that_is_taken_is_named_with_the_fix() -> None:
    with udp_client() as holder:
        port = holder.getsockname()[1]
        with pytest.raises(Unavailable) as caught:
            TftpServer(LOCALHOST, Shelf({}), lambda event: None, port).start()
    assert str(port) in caught.value.message
    assert caught.value.hint is not None
    assert "ss -ulpn" in caught.value.hint


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(Unavailable, match=r"192\.0\.2\.1"):
        TftpServer(IPv4Address("192.0.2.1"), Shelf({}), lambda event: None, 0).start()


def test_stopping_tells_the_clients_and_frees_the_port() -> None:
    with udp_client() as sock:
        with serving({b"loader": some_bytes(3000)}) as served:
            port = served.port
            ask(sock, port, b"loader")
        told, _ = hear(sock)
        assert isinstance(told, Error)
        assert "stopping" in told.message
    again = TftpServer(LOCALHOST, Shelf({}), lambda event: None, port)
    again.start()
    again.stop()


def test_strangers_do_not_disturb_a_transfer() -> None:
    """Rule 4.6: packets from another port never reach the transfer; the kernel refuses them."""
    with serving({b"loader": some_bytes(1000)}) as served, udp_client() as sock, udp_client() as stranger:
        _, sender = ask(sock, served.port, b"loader")
        for packet in (ack(1), error(Code.UNKNOWN_TID, "no"), struct.pack("!HH", 9, 9)):
            stranger.sendto(packet, sender)
        sock.sendto(ack(1), sender)
        assert hear(sock)[0] == Data(2, some_bytes(1000)[512:])


def test_acks_from_the_future_and_the_past_are_ignored() -> None:
    with serving({b"loader": some_bytes(3000)}) as served, udp_client() as sock:
        _, sender = ask(sock, served.port, b"loader", blksize=512, windowsize=2)
        sock.sendto(ack(0), sender)
        assert [hear(sock)[0], hear(sock)[0]] == [Data(n, some_bytes(3000)[512 * n - 512 : 512 * n]) for n in (1, 2)]
        for number in (3, 4, 40_000, 65_535):
            sock.sendto(ack(number), sender)
        sock.sendto(ack(2), sender)
        assert isinstance(answer := hear(sock)[0], Data)
        assert answer.block == 3


def test_a_server_that_ends_before_it_is_woken_is_stopped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    wake = os.eventfd_write
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, serving({}) as served:
        port = served.port
        (thread,) = (each for each in threading.enumerate() if each.name == "tftp")

        def wake_late(descriptor: int, count: int) -> None:
            # As on a busy machine: a packet lets the thread see that it is to end, before we come to wake it.
            client.sendto(request(b"x"), ("127.0.0.1", port))
            thread.join(10)
            wake(descriptor, count)

        monkeypatch.setattr(os, "eventfd_write", wake_late)
    assert not thread.is_alive()
