"""However clients behave and whenever the server restarts: one address never has two users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from netboot.dhcp.decision import Reply
from netboot.dhcp.leases import LeaseBook
from netboot.dhcp.message import Message, MessageType
from netboot.model.client import Client
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from tests.dhcp_kit import (
    NOW,
    SERVER,
    SUBNET,
    UNICAST,
    ask,
    discover,
    extending,
    macs,
    make_policy,
    packet,
    rebooting,
    selecting,
)

clients = st.sampled_from(macs(14))  # more than the pool's ten addresses
addresses = st.integers(98, 111).map(lambda last: f"10.9.0.{last}")
RESERVED = (
    Client(mac=macs(14)[0], name="a", image=VersionRef("debian"), address=IPv4Address("10.9.0.7")),
    Client(mac=macs(14)[1], name="b", image=VersionRef("debian"), address=IPv4Address("10.9.0.103")),
)


@dataclass(frozen=True)
class Belief:
    """What a client believes to have, until when."""

    address: IPv4Address
    until: float


class Network(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.policy = make_policy(*RESERVED)
        self.disk: dict[IPv4Address, Lease] = {}
        self.beliefs: dict[MacAddress, Belief] = {}
        self.quarantined: dict[IPv4Address, float] = {}

    def ask(self, mac: MacAddress, message: Message, *, unicast: bool = False) -> Message | None:
        """Ask, write what is durable, and let the client believe what it is told."""
        by = {"by": UNICAST} if unicast else {}
        decision = ask(message, self.policy, now=self.now, **by)
        durable = [each for each in decision.leases if each.state is not LeaseState.OFFERED]
        self.disk.update({each.address: each for each in durable})
        if not isinstance(decision, Reply):
            return None
        reply = decision.message
        if reply.type is MessageType.ACK:
            assert durable, "an ACK without a durable lease"
            until = self.now + int.from_bytes(reply.options[51], "big")
            self.beliefs[mac] = Belief(reply.yiaddr, until)
        elif reply.type is MessageType.NAK:
            self.beliefs.pop(mac, None)
        return reply

    @rule(mac=clients, wanted=st.none() | addresses)
    def boots(self, mac: MacAddress, wanted: str | None) -> None:
        more = {50: IPv4Address(wanted).packed} if wanted else {}
        self.beliefs.pop(mac, None)
        offer = self.ask(mac, discover(mac=mac, more=more))
        if offer is not None:
            ack = self.ask(mac, selecting(str(offer.yiaddr), mac=mac))
            assert ack is not None
            assert (ack.type, ack.yiaddr) == (MessageType.ACK, offer.yiaddr)

    @rule(mac=clients)
    def only_discovers(self, mac: MacAddress) -> None:
        first = self.ask(mac, discover(mac=mac))
        second = self.ask(mac, discover(mac=mac))
        assert (first and first.yiaddr) == (second and second.yiaddr)

    @rule(mac=clients, address=addresses)
    def takes_what_it_likes(self, mac: MacAddress, address: str) -> None:
        self.ask(mac, selecting(address, mac=mac))

    @rule(mac=clients, address=addresses)
    def remembers_an_address(self, mac: MacAddress, address: str) -> None:
        self.ask(mac, rebooting(address, mac=mac))

    @rule(mac=clients, address=addresses, unicast=st.booleans())
    def extends(self, mac: MacAddress, address: str, unicast: bool) -> None:
        self.ask(mac, extending(address, mac=mac), unicast=unicast)

    @rule(mac=clients)
    def goes_on(self, mac: MacAddress) -> None:
        """A client that holds a lease is never refused it."""
        belief = self.beliefs.get(mac)
        if belief is None or self.now >= belief.until:
            return
        reply = self.ask(mac, extending(str(belief.address), mac=mac), unicast=True)
        assert reply is not None
        assert (reply.type, reply.yiaddr) == (MessageType.ACK, belief.address)

    @rule(mac=clients)
    def takes_another_servers_offer(self, mac: MacAddress) -> None:
        self.ask(mac, selecting("10.9.0.100", mac=mac, server=IPv4Address("10.9.0.99")))

    @rule(mac=clients, address=addresses)
    def releases(self, mac: MacAddress, address: str) -> None:
        belief = self.beliefs.get(mac)
        if belief is not None and str(belief.address) == address:
            del self.beliefs[mac]
        self.ask(mac, packet(MessageType.RELEASE, {54: SERVER.packed}, mac=mac, ciaddr=IPv4Address(address)))

    @rule(mac=clients)
    def declines(self, mac: MacAddress) -> None:
        belief = self.beliefs.pop(mac, None)
        if belief is not None:
            options = {54: SERVER.packed, 50: belief.address.packed}
            self.ask(mac, packet(MessageType.DECLINE, options, mac=mac))
            if self.now < belief.until:
                self.quarantined[belief.address] = self.now + 600

    @rule(seconds=st.sampled_from((1, 130, 1000, 2000, 4000)))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def the_server_is_killed(self) -> None:
        self.policy = replace(self.policy, leases=LeaseBook(self.disk.values()))

    @invariant()
    def no_address_has_two_users(self) -> None:
        live = [each.address for each in self.beliefs.values() if self.now < each.until]
        assert len(live) == len(set(live))

    @invariant()
    def only_addresses_that_are_ours_to_give_are_used(self) -> None:
        for mac, belief in self.beliefs.items():
            reserved = {each.address: each.mac for each in RESERVED}
            assert SUBNET.lends(belief.address) or reserved.get(belief.address) == mac
            assert not (self.now < self.quarantined.get(belief.address, 0.0) and self.now < belief.until)

    @invariant()
    def the_book_is_bounded_by_the_addresses(self) -> None:
        assert isinstance(self.policy.leases, LeaseBook)
        assert len(list(self.policy.leases)) <= 11
        assert self.policy.leases.hold_count(self.now) <= 11


Network.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
test_one_address_never_has_two_users = Network.TestCase
