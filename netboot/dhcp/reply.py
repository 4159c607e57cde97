"""Replies, field by field (RFC 2131 section 4.3.1, table 3).

A reply carries what must be there, then what the client asked for in option 55 in its order; the client's own
identifier and the relay's option 82 go back unchanged.  What does not fit the client's packet size is left out
from the least important end, boot information last of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from netboot.config import Subnet
from netboot.dhcp import options as opt
from netboot.dhcp.bootinfo import NO_BOOT, BootInfo
from netboot.dhcp.decision import Query
from netboot.dhcp.message import BROADCAST_BIT, ZERO, Message, MessageType, Op, encoded_size

# RFC 2131 section 2: every client takes 576 bytes of IP packet.  Larger claims are not to be trusted: OVMF sends
# 1472 in its DISCOVER and 65280, the same with its bytes swapped, in its REQUEST.
_LEAST_PACKET, _IP_AND_UDP = 576, 28
# Lease times below this would have firmware renew while it boots.
_LEAST_LEASE_S = 600

# What `fit` may leave out, the least important first.
_SPARE = (
    opt.MS_CLASSLESS_ROUTES.code,
    opt.BROADCAST.code,
    opt.DOMAIN.code,
    opt.HOSTNAME.code,
    opt.DNS.code,
    opt.ROUTER.code,
)


def compose(
    query: Query,
    kind: MessageType,
    *,
    yiaddr: IPv4Address = ZERO,
    ciaddr: IPv4Address = ZERO,
    boot: BootInfo = NO_BOOT,
    options: Mapping[int, bytes] | None = None,
    broadcast: bool = False,
) -> Message:
    """A reply to the query's message.  Whatever the client put into siaddr, sname and file does not come back."""
    asked = query.message
    values = {opt.MESSAGE_TYPE.code: _KINDS[kind], opt.SERVER_ID.code: query.server_id.packed}
    if options is not None:
        values.update(options)
    values.update(boot.options)
    for code in _ECHOED:
        if echoed := asked.options.get(code):
            values[code] = echoed
    reply = Message(
        op=Op.REPLY,
        htype=asked.htype,
        hlen=asked.hlen,
        xid=asked.xid,
        flags=asked.flags | BROADCAST_BIT if broadcast else asked.flags,
        ciaddr=ciaddr,
        yiaddr=yiaddr,
        siaddr=boot.siaddr,
        sname=boot.sname,
        giaddr=asked.giaddr,
        chaddr=asked.chaddr,
        file=boot.file,
        options=values,
    )
    return _fit(reply, size_limit(asked, query.policy.mtu))


_ROUTES = (opt.CLASSLESS_ROUTES.code, opt.MS_CLASSLESS_ROUTES.code)
_ANYWHERE = IPv4Network("0.0.0.0/0")
_KINDS = {kind: bytes((kind,)) for kind in MessageType}
_ECHOED = (opt.CLIENT_ID.code, opt.RELAY_INFO.code)  # RFC 6842, RFC 3046


@lru_cache(maxsize=1024)
def lease_options(lease_time_s: int) -> Mapping[int, bytes]:
    """51, 58 and 59: T1 at half, T2 at seven eighths of the lease (RFC 2131 section 4.4.5)."""
    return dict(
        [
            opt.LEASE_TIME.write(lease_time_s),
            opt.RENEWAL_TIME.write(lease_time_s // 2),
            opt.REBINDING_TIME.write(lease_time_s * 7 // 8),
        ]
    )


def lease_time(query: Query, offered_s: int) -> int:
    """What the client asks for within what we lend; for ever is never lent."""
    asked = opt.LEASE_TIME.read(query.message.options)
    return offered_s if asked is None else max(min(asked, offered_s), min(_LEAST_LEASE_S, offered_s))


def network_options(query: Query) -> Mapping[int, bytes]:
    """The subnet's settings that the client asked for, in its order; all of them when it named none.

    The mask always goes along, and before the router (RFC 2132 section 3.3).
    """
    subnet = query.policy.subnet
    if subnet is None:
        return {}
    name = query.client.name if query.client else None
    return _network_options(subnet, name, opt.PARAMETER_LIST.read(query.message.options))


def size_limit(asked: Message, mtu: int) -> int:
    """The largest UDP payload that the client takes and the link carries in one piece."""
    claimed = opt.MAX_SIZE.read(asked.options) or _LEAST_PACKET
    return min(max(claimed, _LEAST_PACKET), mtu) - _IP_AND_UDP


@lru_cache(maxsize=4096)
def _network_options(subnet: Subnet, hostname: str | None, asked: bytes | None) -> Mapping[int, bytes]:
    """Machines of one make ask for the same, so this is mostly looked up."""
    values = _network_values(subnet, hostname)
    # Routes only to who asks for them: a client that knows them ignores the router (RFC 3442).
    unasked = (code for code in values if code not in _ROUTES)
    order: Iterable[int] = unasked if asked is None else (code for code in asked if code in values)
    mask = opt.SUBNET_MASK.code
    return {code: values[code] for code in (mask, *order) if code in values}


def _network_values(subnet: Subnet, hostname: str | None) -> dict[int, bytes]:
    pairs = [
        opt.SUBNET_MASK.write(subnet.network.netmask),
        opt.BROADCAST.write(subnet.network.broadcast_address),
    ]
    if subnet.router:
        pairs.append(opt.ROUTER.write((subnet.router,)))  # pxelinux takes one router or none
    if subnet.dns:
        pairs.append(opt.DNS.write(subnet.dns))
    if subnet.domain:
        pairs.append(opt.DOMAIN.write(subnet.domain.encode("ascii")))
    if subnet.routes:
        routes = subnet.routes if subnet.router is None else (*subnet.routes, (_ANYWHERE, subnet.router))
        pairs += [opt.CLASSLESS_ROUTES.write(routes), opt.MS_CLASSLESS_ROUTES.write(routes)]
    if hostname:
        pairs.append(opt.HOSTNAME.write(hostname.encode("ascii")))
    return dict(pairs)


def _fit(reply: Message, limit: int) -> Message:
    """Leave out what is spare.  What is then still too long goes out all the same, and IP splits it."""
    for code in _SPARE:
        if encoded_size(reply) <= limit:
            return reply
        reply = replace(reply, options={key: value for key, value in reply.options.items() if key != code})
    return reply
