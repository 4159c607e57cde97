"""The address server: what each message type of a client gets where the addresses are ours to lend.

Who boots nothing, and who may not, is served an address like any other DHCP client, without boot information.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from netboot.config import Subnet
from netboot.dhcp import bootinfo
from netboot.dhcp import options as opt
from netboot.dhcp.allocate import NoAddress, choose_address, current_address
from netboot.dhcp.decision import Decision, Query, Reply, Silence
from netboot.dhcp.grant import ack, boot_fields, claim_of, client_id_of, hold, is_new, lease_fields
from netboot.dhcp.message import MessageType
from netboot.dhcp.pxe import telling_of
from netboot.dhcp.reply import compose, network_options
from netboot.dhcp.requests import answer_request
from netboot.model.event import EventKind
from netboot.model.lease import Lease, LeaseState

# A declined address is in use by something that we do not know.  An hour lets it be found without letting one
# faulty client use up a small pool for a day; a reservation is what an admin meant, so it comes back sooner.
QUARANTINE_S, QUARANTINE_RESERVED_S = 3600.0, 600.0


def answer_own(query: Query) -> Decision:
    """What the address server says to a query of one of its networks."""
    subnet = query.policy.subnet
    if subnet is None:
        return Silence(reason=f"no subnet is configured for {query.policy.interface}")
    handler = _HANDLERS.get(query.message.type)
    return handler(query, subnet) if handler else Silence(reason="a server's message")


def _offer(query: Query, subnet: Subnet) -> Decision:
    claim = claim_of(query, subnet)
    name = bootinfo.boot_name(query)
    seen = bootinfo.discovery_events(query, name)
    address = choose_address(claim, opt.REQUESTED_ADDRESS.read(query.message.options))
    if not isinstance(address, NoAddress) and subnet.rapid_commit and opt.RAPID_COMMIT in query.message.options:
        committed = ack(query, claim, address, rapid=True)
        return replace(committed, events=(*seen, *committed.events))
    if isinstance(address, NoAddress):
        where = {"interface": query.policy.interface, "network": str(subnet.network)}
        full = query.event(EventKind.POOL_EXHAUSTED, reason=address.reason, **where)
        return Silence(reason=address.reason, events=(*seen, full))
    telling = telling_of(query)
    message = compose(
        query,
        MessageType.OFFER,
        yiaddr=address,
        boot=boot_fields(query, name, telling),
        options=lease_fields(query, subnet),
    )
    text = str(address)
    if query.asker is not None:
        boot = {"boot_file": name, **(telling.details if telling else {})} if isinstance(name, str) else {}
        seen = (*seen, query.event(EventKind.OFFERED, address=text, **boot))
    return Reply(
        message=message,
        reason=f"offered {text}",
        leases=hold(claim, address),
        events=seen,
        probe=address if is_new(claim, address) else None,
        delay_s=telling.delay_s if telling else 0.0,
    )


def _decline(query: Query, subnet: Subnet) -> Decision:
    """The client found its address in use (RFC 2131 section 4.3.3)."""
    claim = claim_of(query, subnet)
    address = opt.REQUESTED_ADDRESS.read(query.message.options)
    if address is None or not query.names_us:
        return Silence(reason="the DECLINE is not for us")
    held = claim.leases.hold_of(query.mac, query.now)
    if address not in (current_address(claim), held and held.address):
        return Silence(reason=f"{address} is not this client's to decline")
    quarantine_s = QUARANTINE_RESERVED_S if address == claim.reserved else QUARANTINE_S
    declined = Lease(address=address, mac=query.mac, state=LeaseState.DECLINED, expires_at=query.now + quarantine_s)
    event = query.event(EventKind.DECLINED, address=str(address), quarantine_s=quarantine_s)
    return Silence(reason=f"{address} is in use by something else", leases=(declined,), events=(event,))


def _release(query: Query, subnet: Subnet) -> Decision:
    """The client is done.  It keeps its claim to the address should nobody else need it."""
    lease = query.policy.leases.lease_of(query.mac)
    named = opt.SERVER_ID.read(query.message.options)
    if named is not None and not query.names_us:
        return Silence(reason="the RELEASE is for another server")
    if lease is None or lease.address != query.message.ciaddr or lease.state is not LeaseState.ACTIVE:
        return Silence(reason=f"{query.message.ciaddr} is not this client's to release")
    if lease.client_id != client_id_of(query):
        return Silence(reason="the RELEASE is by another client identifier than the lease")
    released = lease._replace(state=LeaseState.RELEASED, expires_at=query.now)
    event = query.event(EventKind.RELEASED, address=str(lease.address))
    return Silence(reason=f"released {lease.address}", leases=(released,), events=(event,))


def _inform(query: Query, subnet: Subnet) -> Decision:
    """The client has an address from elsewhere and wants the settings only (RFC 2131 section 4.3.5)."""
    name = bootinfo.boot_name(query)
    message = compose(
        query,
        MessageType.ACK,
        ciaddr=query.message.ciaddr,
        boot=boot_fields(query, name, telling_of(query)),
        options=network_options(query),
        broadcast=bool(int(query.message.giaddr)) and not int(query.message.ciaddr),
    )
    return Reply(message=message, reason="told the network's settings")


_HANDLERS: Mapping[MessageType | None, Callable[[Query, Subnet], Decision]] = {
    MessageType.DISCOVER: _offer,
    MessageType.REQUEST: answer_request,
    MessageType.DECLINE: _decline,
    MessageType.RELEASE: _release,
    MessageType.INFORM: _inform,
}
