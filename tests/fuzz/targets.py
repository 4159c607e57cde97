"""What a fuzzer may throw at us, and what must hold whatever it throws: one function a target, bytes in.

An exception is a finding, as is an input that takes seconds or memory (libFuzzer watches both).  The decoders'
own errors are no findings: they are the answer to nonsense.  hypothesis and atheris drive the same functions.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from netboot.config import DhcpMode
from netboot.dhcp.answer import answer
from netboot.dhcp.decision import Arrival, Reply, Silence
from netboot.dhcp.destination import destination
from netboot.dhcp.frame import udp_packet
from netboot.dhcp.identify import identify
from netboot.dhcp.leases import LeaseBook
from netboot.dhcp.message import DecodeError, Message, MessageType, decode, encode, encoded_size
from netboot.dhcp.options import read_suboptions
from netboot.dhcp.policy import Policy
from netboot.dhcp.reply import size_limit
from netboot.errors import InvalidInput
from netboot.tftp import packet as tftp
from netboot.tftp.content import BootFile
from netboot.tftp.static import components
from netboot.tftp.terms import negotiate
from netboot.web.app import find_route
from netboot.web.refusal import Refused
from netboot.web.report import parse as parse_report
from netboot.web.report import read_form
from netboot.web.request import BODY_MAX_BYTES, FIELDS_MAX, Request, RequestReader
from netboot.web.sending import span_for
from tests.dhcp_kit import BOOT_PORT, LAB, NOW, RESERVED, SERVER, SUBNET, UNICAST, arrival, make_policy
from tests.fuzz.image_targets import cow_device, hash_tree
from tests.names_kit import PEER, Home

ARRIVALS = (arrival(), UNICAST, BOOT_PORT, arrival(port=4011), arrival(source=("10.9.0.2", 67), to=SERVER))
MODES = (DhcpMode.OWN, DhcpMode.PROXY, DhcpMode.OFF)
# What the server reads of one datagram.
_RECEIVED_MAX_BYTES = 4096
# An OFFER with all of our settings, without what the client itself sent and gets back.
_OUR_OPTIONS_BYTES = 900


def dhcp_message(data: bytes) -> None:
    """What was read can be written, and is read as the same again."""
    try:
        message = decode(data)
    except DecodeError:
        return
    again = encode(message)
    assert decode(again) == message
    assert len(again) == max(300, encoded_size(message))
    # What stood in file and sname comes on top (option 52), and an END that was missing.
    assert len(again) <= max(300, len(data) + 192 + 1)
    if message.mac is not None:
        identify(message, message.mac)
    for value in message.options.values():
        read_suboptions(value)


def dhcp_exchange(data: bytes) -> None:
    """Up to eight packets, one after another, to one server, which keeps its leases meanwhile."""
    policy = make_policy(LAB, RESERVED, mode=MODES[data[0] % 3] if data else MODES[0], unknown="image:debian")
    for number, (by, payload) in enumerate(exchange(data[1:])):
        try:
            message = decode(payload)
        except DecodeError:
            continue
        _answered(message, by, policy, NOW + 10 * number)


def exchange(data: bytes) -> Iterator[tuple[Arrival, bytes]]:
    """Packets as `packed` wrote them: a byte for how each came, two for its length."""
    for _ in range(8):
        if len(data) < 3:
            return
        size = int.from_bytes(data[1:3], "big")
        yield ARRIVALS[data[0] % len(ARRIVALS)], data[3 : 3 + min(size, _RECEIVED_MAX_BYTES)]
        data = data[3 + size :]


def packed(*packets: tuple[int, bytes], mode: int = 0) -> bytes:
    """Packets with the number of their arrival, as the input of `dhcp_exchange`."""
    return bytes((mode,)) + b"".join(bytes((by,)) + len(each).to_bytes(2, "big") + each for by, each in packets)


def _answered(asked: Message, by: Arrival, policy: Policy, now: float) -> None:
    decision = answer(asked, by, policy, now)
    assert decision.reason
    assert isinstance(policy.leases, LeaseBook)
    for lease in decision.leases:
        assert lease.address in SUBNET.network
        assert lease.address not in (SERVER, SUBNET.router)
        assert policy.reservations.get(lease.address, lease.mac) == lease.mac
        policy.leases.put(lease)
    if isinstance(decision, Silence):
        return
    reply = decision.message
    assert (reply.op, reply.xid, reply.chaddr, reply.giaddr) == (2, asked.xid, asked.chaddr, asked.giaddr)
    assert reply.type in (MessageType.OFFER, MessageType.ACK, MessageType.NAK)
    assert reply.options.get(82) == (asked.options.get(82) or None)
    assert reply.options.get(61) == (asked.options.get(61) or None)
    assert not {50, 52, 55, 57} & set(reply.options)
    octets = encode(reply)
    assert decode(octets) == reply
    echoed = sum(len(reply.options.get(code, b"")) for code in (61, 82, 97))
    assert len(octets) <= max(size_limit(asked, policy.mtu), _OUR_OPTIONS_BYTES + echoed * 65 // 64 + 16)
    where = destination(asked, reply, by)
    assert len(udp_packet(octets, (SERVER, 67), (where.address, where.port))) == len(octets) + 28
    _lent_once(decision, policy)


def _lent_once(decision: Reply, policy: Policy) -> None:
    """Whoever is told an address holds it, and nobody else does."""
    reply = decision.message
    if reply.type is not MessageType.ACK or not int(reply.yiaddr) or not decision.leases:
        return
    lease = policy.leases.lease_at(reply.yiaddr)
    assert lease is not None
    assert lease.mac == reply.mac


def tftp_packet(data: bytes) -> None:
    """A request is read as it would be written, and is agreed on within bounds."""
    try:
        heard = tftp.decode(data)
    except tftp.PacketError:
        return
    match heard:
        case tftp.Request(opcode, name, mode, options):
            again = tftp.request(name, opcode=opcode, mode=mode, options=options)
            assert tftp.decode(again) == heard
            terms = negotiate(options, size=1000, mtu=1500)
            assert {name for name, _ in terms.oack} <= options.keys()
            assert 8 <= terms.blksize <= 1468
            assert 1 <= terms.window <= 64
            assert len(tftp.option_ack(terms.oack)) <= 100
            assert tftp.printable(name).isprintable()
        case tftp.Data(block, payload):
            assert tftp.data(block, payload) == data
        case tftp.Ack(block):
            assert tftp.ack(block) == data[:4]
        case tftp.Error(_, message):
            assert len(tftp.error(tftp.ErrorCode.UNDEFINED, message)) <= 405
        case tftp.OptionAck(options):
            assert not options or tftp.decode(tftp.option_ack(options.items())) == heard


def tftp_name(data: bytes) -> None:
    """Whatever a name says, what is opened is one of the files that are there to be had."""
    name = data.partition(b"\0")[0]
    parts = components(name)
    assert parts is None or all(part not in (b"", b".", b"..") and b"/" not in part for part in parts)
    found = _home().names.open(name, PEER)
    if not isinstance(found, BootFile):
        assert found.reason.isascii()
        return
    if isinstance(found.content, bytes):
        assert len(found.content) == found.size
        return
    try:
        assert os.read(found.content, 100) in (b"loader", b"own", b"firmware")
    finally:
        os.close(found.content)


def http_request(data: bytes) -> None:
    """A stream is read the same whole and byte by byte, and what is read stays within bounds."""
    whole, ended = _requests([data])
    assert (whole, ended) == _requests([data[at : at + 1] for at in range(len(data))])
    for request in whole:
        assert request.path.startswith("/")
        assert len(request.headers) <= FIELDS_MAX
        assert len(request.body) == int(request.headers.get("content-length", "0")) <= BODY_MAX_BYTES
        with contextlib.suppress(Refused):
            find_route(request.method, request.path)
        with contextlib.suppress(Refused):
            status, span = span_for(request.headers, 1000, '"x"')
            assert 0 <= span.start <= span.start + span.count <= span.size == 1000
            assert (status == 206) <= (span.count > 0)
        with contextlib.suppress(InvalidInput):
            _, details = parse_report(read_form(request.query))
            assert all(not isinstance(each, str) or len(each) <= 8192 for each in details.values())


def _requests(pieces: list[bytes]) -> tuple[list[Request], int | None]:
    reader, found = RequestReader(), []
    try:
        for piece in pieces:
            reader.feed(piece)
            while request := reader.next():
                found.append(request)
    except Refused as refused:
        return found, refused.status
    return found, None


@cache
def _home() -> Home:
    """A folder with ways out of it."""
    around = Path(tempfile.mkdtemp(prefix="netboot-fuzz-"))
    root = around / "root"
    (root / "boot").mkdir(parents=True)
    (around / "secret").write_bytes(b"secret")
    (root / "boot/out").symlink_to(around)
    (root / "boot/secret").symlink_to(around / "secret")
    (root / "boot/own").write_bytes(b"own")
    home = Home(root)
    home.owners[PEER] = LAB.mac
    return home


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "dhcp-message": dhcp_message,
    "dhcp-exchange": dhcp_exchange,
    "tftp-packet": tftp_packet,
    "tftp-name": tftp_name,
    "cow-device": cow_device,
    "hash-tree": hash_tree,
    "http-request": http_request,
}
