"""The real server on real sockets of the loopback interface, without root.

The test plays a relay that listens on a port of its own (RFC 8357), so no port below 1024 is needed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from netboot.config import DhcpMode, Subnet
from netboot.dhcp.ledger import Ledger
from netboot.dhcp.message import Message, MessageType, decode, encode
from netboot.dhcp.policy import Policy
from netboot.dhcp.server import DhcpServer
from netboot.errors import NotPermitted, Unavailable
from netboot.model.event import Event
from netboot.model.lease import Lease, Pool
from netboot.model.mac import MacAddress
from netboot.model.strategy import Strategy
from tests.dhcp_kit import LAB, SYSTEM, UEFI, discover, holder, macs, make_policy, packet, selecting, serve_by

SERVER = IPv4Address("127.0.0.1")
RELAY = IPv4Address("127.0.0.1")
SUBNET = Subnet(
    network=IPv4Network("127.0.0.0/16"),
    pool=(Pool(IPv4Address("127.0.1.0"), IPv4Address("127.0.2.255")),),
    lease_time_s=600,
)
POLICY = make_policy(LAB, server=SERVER, subnet=SUBNET, interface="lo")
# Sub-option 19: the relay listens where it sent from.
SO_NO_CHECK = 11
RELAYED = {82: b"\x01\x02e7\x13\x00"}


@dataclass
class Shelf:
    """A store in memory that can be slow or broken, and counts its transactions."""

    kept: dict[IPv4Address, Lease] = field(default_factory=dict)
    commits: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    broken: bool = False

    def load(self) -> Sequence[Lease]:
        return tuple(self.kept.values())

    def commit(self, leases: Sequence[Lease]) -> None:
        assert self.gate.wait(10)
        if self.broken:
            raise OSError("the disk is full")
        self.commits.append(len(leases))
        self.kept.update({each.address: each for each in leases})


class Relay:
    """Sends for clients and collects what comes back."""

    def __init__(self, server: DhcpServer) -> None:
        self.server = server
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((str(RELAY), 0))
        self.sock.setblocking(False)

    def send(self, message: Message) -> None:
        relayed = replace(message, giaddr=RELAY, options={**message.options, **RELAYED})
        self.sock.sendto(encode(relayed), (str(SERVER), self.server.ports[0]))

    async def receive(self, limit_s: float = 5.0) -> Message:
        loop = asyncio.get_running_loop()
        return decode(await asyncio.wait_for(loop.sock_recv(self.sock, 4096), limit_s))

    async def ask(self, message: Message) -> Message:
        self.send(message)
        return await self.receive()

    async def silence(self, limit_s: float = 0.3) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await self.receive(limit_s)


@dataclass
class Stage:
    server: DhcpServer
    relay: Relay
    store: Shelf
    ledger: Ledger
    events: list[Event]


@asynccontextmanager
async def serving(policy: Callable[[], Policy] = lambda: POLICY, store: Shelf | None = None) -> AsyncIterator[Stage]:
    if store is None:
        store = Shelf()
        store.gate.set()
    events: list[Event] = []
    ledger = Ledger(store)
    server = DhcpServer("lo", lambda: serve_by(ledger, policy()), ledger, events.append, port=0, boot_port=0)
    serve_by(ledger, POLICY)
    await ledger.load()
    await server.start()
    relay = Relay(server)
    try:
        yield Stage(server, relay, store, ledger, events)
    finally:
        relay.sock.close()
        store.gate.set()
        await server.stop()


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 30))


def taking(mac: MacAddress, address: str) -> Message:
    return selecting(address, server=SERVER, mac=mac)


def test_a_client_gets_its_lease_and_the_relay_its_option_82() -> None:
    async def scene() -> None:
        async with serving() as stage:
            offer = await stage.relay.ask(discover(UEFI))
            assert (offer.type, offer.file) == (MessageType.OFFER, b"ipxe/snponly.efi")
            assert stage.store.commits == []
            ack = await stage.relay.ask(selecting(str(offer.yiaddr), UEFI, server=SERVER))
            assert (ack.type, ack.yiaddr, ack.options[82]) == (MessageType.ACK, offer.yiaddr, RELAYED[82])
            assert list(stage.store.kept) == [offer.yiaddr]
            assert holder(stage.ledger.book(SUBNET.network), offer.yiaddr, 0.0) == LAB.mac
            assert [each.kind.value for each in stage.events] == ["discovered", "offered", "acked"]

    run(scene())


def test_no_ack_leaves_before_its_lease_is_written_and_one_write_serves_all_that_wait() -> None:
    async def scene() -> None:
        store = Shelf()
        async with serving(store=store) as stage:
            stage.relay.send(taking(macs(1)[0], "127.0.1.0"))
            await stage.relay.silence()
            for number, mac in enumerate(macs(100)[1:], 1):
                stage.relay.send(taking(mac, f"127.0.1.{number}"))
            await stage.relay.silence()
            store.gate.set()
            acks = [await stage.relay.receive() for _ in range(100)]
            assert {str(each.yiaddr) for each in acks} == {f"127.0.1.{number}" for number in range(100)}
            assert sum(store.commits) == 100
            assert len(store.commits) <= 4

    run(scene())


@pytest.mark.parametrize("offloads", [True, False])
def test_a_relay_gets_its_clients_replies_one_by_one_however_they_left(offloads: bool) -> None:
    async def scene() -> None:
        store = Shelf()
        async with serving(store=store) as stage:
            assert stage.server._link is not None
            if not offloads:  # without checksums the kernel refuses to cut up what it gets in one piece
                stage.server._link._udp[67].setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            stage.relay.send(taking(macs(1)[0], "127.0.1.0"))
            await stage.relay.silence()
            for number, mac in enumerate(macs(100)[1:], 1):
                stage.relay.send(taking(mac, f"127.0.1.{number}"))
            await stage.relay.silence()
            store.gate.set()
            acks = [await stage.relay.receive() for _ in range(100)]
            assert {(each.mac, str(each.yiaddr)) for each in acks} == {
                (mac, f"127.0.1.{number}") for number, mac in enumerate(macs(100))
            }
            assert stage.server._link._offloads is offloads
            await stage.relay.silence()

    run(scene())


def test_offers_go_out_while_nothing_is_being_written() -> None:
    async def scene() -> None:
        async with serving(store=Shelf()) as stage:
            assert (await stage.relay.ask(discover())).type is MessageType.OFFER

    run(scene())


def test_offers_go_out_while_leases_are_being_written() -> None:
    async def scene() -> None:
        store = Shelf()
        async with serving(store=store) as stage:
            writing, asking = macs(2)
            stage.relay.send(taking(writing, "127.0.1.7"))
            await stage.relay.silence()
            offer = await stage.relay.ask(discover(mac=asking))
            assert (offer.type, offer.mac) == (MessageType.OFFER, asking)
            stage.relay.send(taking(asking, str(offer.yiaddr)))
            await stage.relay.silence()
            store.gate.set()
            acked = {(await stage.relay.receive()).mac for _ in range(2)}
            assert acked == {writing, asking}
            assert store.commits == [1, 1]

    run(scene())


def test_a_lease_that_cannot_be_written_is_not_acked_and_the_next_try_is(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with serving() as stage:
            stage.store.broken = True
            stage.relay.send(taking(LAB.mac, "127.0.1.9"))
            await stage.relay.silence()
            assert [each.kind.value for each in stage.events] == []
            stage.store.broken = False
            ack = await stage.relay.ask(taking(LAB.mac, "127.0.1.9"))
            assert (ack.type, str(ack.yiaddr)) == (MessageType.ACK, "127.0.1.9")
            assert list(stage.store.kept) == [ack.yiaddr]

    with caplog.at_level(logging.ERROR):
        run(scene())
    assert "1 leases could not be written" in caplog.text
    assert "the disk is full" in caplog.text


def test_leases_are_there_again_after_a_restart() -> None:
    async def scene() -> None:
        async with serving() as first:
            ack = await first.relay.ask(taking(LAB.mac, "127.0.1.9"))
        async with serving(store=first.store) as second:
            nak = await second.relay.ask(taking(macs(1)[0], "127.0.1.9"))
            assert nak.type is MessageType.NAK
            offer = await second.relay.ask(discover())
            assert offer.yiaddr == ack.yiaddr

    run(scene())


def test_a_reload_takes_effect_with_the_next_packet() -> None:
    async def scene() -> None:
        now = [POLICY]
        async with serving(lambda: now[0]) as stage:
            assert (await stage.relay.ask(discover(UEFI))).file
            now[0] = make_policy(server=SERVER, subnet=SUBNET, interface="lo")
            assert not (await stage.relay.ask(discover(UEFI))).file
            now[0] = replace(POLICY, mode=DhcpMode.OFF)
            stage.relay.send(discover(UEFI))
            await stage.relay.silence()

    run(scene())


def test_what_breaks_the_policy_or_an_answer_costs_packets_and_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def find(self, mac: MacAddress) -> None:
            raise OSError("the database is away")

    async def scene() -> None:
        now: list[Policy | None] = [None]

        def policy() -> Policy:
            if now[0] is None:
                raise OSError("the configuration is away")
            return now[0]

        now[0] = POLICY
        async with serving(policy) as stage:
            now[0] = None
            stage.relay.send(discover())
            await stage.relay.silence()
            now[0] = replace(POLICY, boot=replace(POLICY.boot, clients=Broken()))
            for _ in range(3):
                stage.relay.send(discover())
            await stage.relay.silence()
            stage.relay.sock.sendto(b"junk", (str(SERVER), stage.server.ports[0]))
            now[0] = POLICY
            assert (await stage.relay.ask(discover())).type is MessageType.OFFER

    with caplog.at_level(logging.ERROR):
        run(scene())
    assert caplog.text.count("OSError: the configuration is away") == 1
    assert caplog.text.count("OSError: the database is away") == 1


def test_a_full_pool_is_told_once() -> None:
    async def scene() -> None:
        full = replace(POLICY, subnet=replace(SUBNET, pool=()))
        async with serving(lambda: full) as stage:
            for _ in range(5):
                stage.relay.send(discover())
            await stage.relay.silence()
            assert [each.kind.value for each in stage.events] == ["pool-exhausted"]

    run(scene())


def test_a_relay_of_no_network_of_ours_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with serving() as stage:
            for _ in range(3):
                stage.relay.send(discover(more={118: bytes((10, 7, 0, 0))}))
            await stage.relay.silence()
            assert stage.events == []

    run(scene())
    assert caplog.text.count("no [[subnet]] holds 10.7.0.0, for which a relay asks") == 1


def test_port_4011_answers_from_itself_to_where_it_was_asked_from() -> None:
    async def scene() -> None:
        async with serving(lambda: replace(POLICY, mode=DhcpMode.PROXY)) as stage:
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.bind(("127.0.0.1", 0))
            client.setblocking(False)
            with client:
                asked = packet(MessageType.REQUEST, UEFI, ciaddr=IPv4Address("127.0.0.1"))
                client.sendto(encode(asked), ("127.0.0.1", stage.server.ports[1]))
                data, source = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(client, 4096), 5)
            assert source == ("127.0.0.1", stage.server.ports[1])
            assert decode(data).file == b"ipxe/snponly.efi"
            assert stage.store.commits == []

    run(scene())


def test_stopping_finishes_what_is_being_written_and_frees_the_port() -> None:
    async def scene() -> None:
        store = Shelf()
        async with serving(store=store) as stage:
            port = stage.server.ports[0]
            stage.relay.send(taking(LAB.mac, "127.0.1.9"))
            await stage.relay.silence()
            stopping = asyncio.create_task(stage.server.stop())
            await asyncio.sleep(0.05)
            assert not stopping.done()
            store.gate.set()
            await stopping
            assert (await stage.relay.receive()).type is MessageType.ACK
            await stage.server.stop()  # a second time is no harm
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(("0.0.0.0", port))

    run(scene())


async def start(interface: str, port: int, mode: DhcpMode = DhcpMode.OWN) -> None:
    ledger = Ledger(Shelf())
    policies = serve_by(ledger, replace(POLICY, mode=mode))
    server = DhcpServer(interface, lambda: policies, ledger, print, port=port, boot_port=0)
    await server.start()
    await server.stop()


def test_a_taken_port_names_who_may_hold_it_and_a_proxy_shares_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("0.0.0.0", 0))
        port = rival.getsockname()[1]
        with pytest.raises(Unavailable, match=f"UDP port {port} on lo is taken") as error:
            asyncio.run(start("lo", port))
        assert "systemctl stop" in str(error.value.hint)
        asyncio.run(start("lo", port, DhcpMode.PROXY))


def test_a_missing_interface_is_named() -> None:
    with pytest.raises(Unavailable, match="no network interface nosuch0") as error:
        asyncio.run(start("nosuch0", 0))
    assert "ip link" in str(error.value.hint)


def test_a_lacking_right_is_named() -> None:
    """As another user, in another process, port 67 is not for us."""
    code = (
        "import os, sys\n"
        "from netboot.dhcp.link import Link\n"
        "from netboot.errors import NotPermitted\n"
        "os.setuid(65534)\n"
        "try: Link('lo', port=67)\n"
        "except NotPermitted as error: sys.exit(0 if 'CAP_NET_BIND_SERVICE' in error.hint else 3)\n"
        "sys.exit(4)"
    )
    if os.geteuid() != 0:
        with pytest.raises(NotPermitted, match="rights that this process lacks"):
            asyncio.run(start("lo", 67))
        return
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr


def test_no_option_of_a_plain_client_is_lost_on_the_way() -> None:
    async def scene() -> None:
        async with serving() as stage:
            ack = await stage.relay.ask(selecting("127.0.1.5", SYSTEM, server=SERVER))
            assert {51, 53, 54, 58, 59, 1, 12, 82} <= set(ack.options)

    run(scene())


def test_an_answer_may_be_late() -> None:
    """For firmware that is not ready for it at once; meanwhile others are answered, and stopping does not wait."""
    late = replace(LAB, strategy=Strategy.PI_LATE)
    policy = make_policy(late, server=SERVER, subnet=SUBNET, interface="lo")

    async def scene() -> None:
        async with serving(lambda: policy) as stage:
            stage.relay.send(discover(UEFI))
            stage.relay.send(discover(SYSTEM, mac=macs(1)[0]))
            first = await stage.relay.receive()
            assert first.mac == macs(1)[0]
            assert [each.kind for each in stage.events] == []
            second = await stage.relay.receive()
            assert second.mac == LAB.mac
            assert [each.kind.value for each in stage.events] == ["discovered", "offered"]
            stage.relay.send(discover(UEFI))
            await stage.relay.silence()

    run(scene())
