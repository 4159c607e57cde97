"""Which network a packet is about: where its client is, not where the packet came in.

A relay names the client's network.  A client that runs on an address and speaks to us alone may be beyond a router
that relays no such packet, so its address names the network (RFC 2131 section 4.3.2, RENEWING).  Everybody else is on
the link.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from netboot.dhcp import relay
from netboot.dhcp.decision import BOOT_PORT, Arrival
from netboot.dhcp.destination import EVERYONE
from netboot.dhcp.message import Message, MessageType
from netboot.dhcp.policy import Policies, Policy

# DISCOVER and DECLINE are of clients that have no address; a ciaddr there is a client's bug and means nothing.
_OF_RUNNING_CLIENTS = frozenset((MessageType.REQUEST, MessageType.RELEASE, MessageType.INFORM))


def policy_for(message: Message, arrival: Arrival, policies: Policies) -> Policy | IPv4Address:
    """How to serve the client, or the address that a relay gave of a network that is none of ours."""
    link = relay.link_address(message)
    if link is not None:
        return policies.networks.find(link) or link
    runs_on = _runs_on(message, arrival)
    return (policies.networks.find(runs_on) if runs_on is not None else None) or policies.home


def _runs_on(message: Message, arrival: Arrival) -> IPv4Address | None:
    """The address of a client that speaks to us alone."""
    if arrival.destination == EVERYONE or message.type not in _OF_RUNNING_CLIENTS:
        return None
    if int(message.ciaddr):
        return message.ciaddr
    return arrival.source[0] if arrival.port == BOOT_PORT else None
