"""The parts that every answer of the address server is made of: claims, holds, ACK and NAK."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from netboot.config import Subnet
from netboot.dhcp import bootinfo
from netboot.dhcp import options as opt
from netboot.dhcp.allocate import HOLD_S, Claim, current_address
from netboot.dhcp.bootinfo import NO_BOOT, BootInfo, Denial
from netboot.dhcp.decision import Query, Reply
from netboot.dhcp.message import ETHERNET, ZERO, MessageType
from netboot.dhcp.pxe import Telling, telling_of
from netboot.dhcp.reply import compose, lease_options, lease_time, network_options
from netboot.model.event import Event, EventKind
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.model.request import Stage

_ETHERNET_ID = bytes((ETHERNET,))
_LABEL = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def claim_of(query: Query, subnet: Subnet) -> Claim:
    """What the client may claim: its reservation if an admin made one within the subnet, and the pool.

    A reservation by MAC wins over one by what the packet says.
    """
    client, policy = query.client, query.policy
    reserved = client.address if client is not None else None
    if reserved is None or reserved not in subnet.network:
        reserved = policy.fixed.address_for(query.message, policy.leases.lease_of(query.mac))
    return Claim(
        mac=query.mac,
        subnet=subnet,
        server=policy.server,
        leases=policy.leases,
        reservations=policy.reservations,
        now=query.now,
        reserved=reserved,
        known=client is not None or reserved is not None,
        aliases=policy.also_known_as,
        fixed=policy.fixed,
    )


def ack(query: Query, claim: Claim, address: IPv4Address, *, rapid: bool = False) -> Reply:
    """Lend `address`, and give back whatever other address the client had here.

    `rapid` answers a DISCOVER at once (RFC 4039).
    """
    subnet = claim.subnet
    name = bootinfo.boot_name(query)
    lease = Lease(
        address=address,
        mac=query.mac,
        state=LeaseState.ACTIVE,
        expires_at=query.now + lease_time(query, subnet.lease_time_s),
        client_id=_identifier(query, claim, address),
        hostname=query.client.name if query.client is not None else told_name(query.message.options),
    )
    message = compose(
        query,
        MessageType.ACK,
        yiaddr=address,
        ciaddr=ZERO if rapid else query.message.ciaddr,
        boot=boot_fields(query, name, telling_of(query)),
        options={**lease_fields(query, subnet), **({opt.RAPID_COMMIT: b""} if rapid else {})},
    )
    text = str(address)
    return Reply(
        message=message,
        reason=f"lent {text}",
        leases=(*given_back(claim, address), lease),
        events=(*_acked(query, text), *bootinfo.script_events(query, name)),
    )


def nak(query: Query, reason: str) -> Reply:
    """53, 54, 56 and what is echoed, nothing else; a relay must broadcast it on (RFC 2131 section 4.3.2)."""
    text = dict([opt.ERROR_TEXT.write(reason.encode("ascii", "replace")[:255])])
    relayed = bool(int(query.message.giaddr))
    return Reply(
        message=compose(query, MessageType.NAK, options=text, broadcast=relayed),
        reason=reason,
        events=(query.event(EventKind.REFUSED, reason=reason),),
    )


def hold(claim: Claim, address: IPv4Address) -> tuple[Lease, ...]:
    """Keep an offered address for its client, unless its lease there lasts longer than the hold would."""
    lease = claim.leases.lease_of(claim.mac)
    until = claim.now + HOLD_S
    if address == current_address(claim) and lease is not None and lease.expires_at >= until:
        return ()
    return (Lease(address=address, mac=claim.mac, state=LeaseState.OFFERED, expires_at=until),)


def drop_hold(claim: Claim) -> tuple[Lease, ...]:
    held = claim.leases.hold_of(claim.mac, claim.now)
    if held is None:
        return ()
    return (Lease(address=held.address, mac=claim.mac, state=LeaseState.OFFERED, expires_at=0.0),)


def is_new(claim: Claim, address: IPv4Address) -> bool:
    """Whether neither a reservation nor an earlier lease or hold ties the client to the address."""
    if claim.reserved is not None and address == claim.reserved:
        return False
    ties = claim.leases.lease_of(claim.mac), claim.leases.hold_of(claim.mac, claim.now)
    return not any(each is not None and each.address == address for each in ties)


def boot_fields(query: Query, name: str | Denial | None, telling: Telling | None) -> BootInfo:
    return bootinfo.own_info(query, name, telling) if isinstance(name, str) else NO_BOOT


def lease_fields(query: Query, subnet: Subnet) -> dict[int, bytes]:
    return {**lease_options(lease_time(query, subnet.lease_time_s)), **network_options(query)}


def client_id_of(query: Query) -> bytes | None:
    return told_id(query.message.options, query.mac)


def told_id(options: opt.Options, mac: MacAddress) -> bytes | None:
    """Option 61; None where it says no more than chaddr, or is too short to be one (RFC 2132 section 9.14)."""
    raw = options.get(opt.CLIENT_ID.code, b"")
    return None if len(raw) < 2 or raw == _ETHERNET_ID + mac.octets else raw


def told_name(options: opt.Options) -> str | None:
    """Option 12, if what the client calls itself is a plain label."""
    said = opt.HOSTNAME.read(options) or b""
    return said.decode("ascii").lower() if _LABEL.fullmatch(said) else None


def _identifier(query: Query, claim: Claim, address: IPv4Address) -> bytes | None:
    """What the lease remembers the client by: what it has its address for, else what it calls itself now."""
    last = claim.leases.lease_of(claim.mac)
    if last is not None and last.address == address and claim.fixed.remembers(last):
        return last.client_id
    return client_id_of(query)


def given_back(claim: Claim, kept: IPv4Address) -> tuple[Lease, ...]:
    """Whatever other address the client had here, as released."""
    address = current_address(claim)
    if address is None or address == kept:
        return ()
    return (Lease(address=address, mac=claim.mac, state=LeaseState.RELEASED, expires_at=claim.now),)


def _acked(query: Query, address: str) -> tuple[Event, ...]:
    """A step of a boot, or of the life of a machine that an admin named; others only pass by."""
    if query.asker is None and query.client is None:
        return ()
    stage = query.asker.stage if query.asker else Stage.SYSTEM
    return (query.event(EventKind.ACKED, address=address, stage=stage.value),)
