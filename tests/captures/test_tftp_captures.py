"""Captured TFTP sessions once more, with our server in the place of the captured one."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.tftp.events import TransferKind
from netboot.tftp.packet import Data, Error, ErrorCode, Opcode, Request, decode
from tests.captures.files import Datagram, datagrams
from tests.loopback.tftp_kit import Served, serving, udp_client

DOWNLOADS = ("ndpi-tftp.pcap", "suricata-verify-output-eve-tftp-01.pcap", "tcpdump-tftp.pcap")
UPLOADS = ("ndpi-tftp.pcap", "suricata-verify-tftp-tx-handling-wrq.pcap")


def session(file: Path, opcode: Opcode) -> list[Datagram]:
    """The datagrams of the first session that such a request began, the request first."""
    every = datagrams(file)
    first = next(
        index for index, each in enumerate(every) if each.dport == 69 and each.payload[:2] == bytes((0, opcode))
    )
    client = every[first].sport
    return [each for each in every[first:] if client in (each.sport, each.dport)]


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_captured_download_goes_as_it_did(name: str, captures: Path) -> None:
    """The captured client's packets bring, one by one, the very packets that the captured server sent."""
    every = session(captures / "public-pcap" / name, Opcode.RRQ)
    client = every[0].sport
    asked = decode(every[0].payload)
    assert isinstance(asked, Request)
    sent = [decode(each.payload) for each in every if each.dport == client]
    content = b"".join(each.payload for each in sent if isinstance(each, Data))
    with serving({asked.name: content}) as served, udp_client() as sock:
        server = ("127.0.0.1", served.port)
        for each in every:
            if each.sport == client:
                sock.sendto(each.payload, server)
            else:
                answered, server = sock.recvfrom(65536)
                assert answered == each.payload
        finished = served.wait_for(TransferKind.FINISHED)
    assert [event.size for event in finished] == [len(content)]


@pytest.mark.parametrize("name", UPLOADS)
def test_a_captured_upload_is_refused_and_what_follows_goes_nowhere(name: str, captures: Path) -> None:
    every = session(captures / "public-pcap" / name, Opcode.WRQ)
    with serving({}) as served, udp_client(0.2) as sock:
        sock.sendto(every[0].payload, ("127.0.0.1", served.port))
        told, server = sock.recvfrom(65536)
        refusal = decode(told)
        assert isinstance(refusal, Error)
        assert refusal.code == ErrorCode.ACCESS
        for each in every[1:]:
            if each.sport == every[0].sport:
                sock.sendto(each.payload, server)
        with pytest.raises((TimeoutError, ConnectionRefusedError)):
            sock.recv(65536)
        assert {event.kind for event in served.events} == {TransferKind.MISSING}


def test_a_bios_rom_asks_for_the_size_first_and_for_the_file_next(captures: Path) -> None:
    """Rule 4.15: the ASRock board's two requests, from two ports."""
    asked = [
        each for each in datagrams(captures / "public-pcap" / "netboot-nsec-asrock-bios-pxe.pcap") if each.dport == 69
    ]
    requests = [decode(each.payload) for each in asked]
    name = _name(requests[0])
    loader = bytes(1456) * 3 + b"end"
    with serving({name: loader}) as served:
        answers = [first_answer(served, each.payload) for each in asked]
    assert [sorted(each.options) for each in requests if isinstance(each, Request)] == [[b"tsize"], [b"blksize"]]
    assert answers == [b"\0\x06tsize\0" + b"%d\0" % len(loader), b"\0\x06blksize\x001456\0"]


def test_a_name_in_the_manner_of_windows_is_found(captures: Path) -> None:
    """The Token Ring capture's request for `C:\\IBMTCPIP\\lccm.1`."""
    (asked,) = datagrams(captures / "public-pcap" / "wireshark-tftp.pcap")
    name = _name(decode(asked.payload))
    assert name == rb"C:\IBMTCPIP\lccm.1"
    with serving({name: b"loader"}) as served:
        assert first_answer(served, asked.payload) == b"\0\x03\0\x01loader"


def first_answer(served: Served, request: bytes) -> bytes:
    with udp_client() as sock:
        sock.sendto(request, ("127.0.0.1", served.port))
        return sock.recv(65536)


def _name(packet: object) -> bytes:
    assert isinstance(packet, Request)
    return packet.name
