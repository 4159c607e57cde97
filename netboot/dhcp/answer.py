"""`answer`: one packet, the policy and the time give one decision.  Pure; everything else in `dhcp` serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netboot.config import DhcpMode
from netboot.dhcp.decision import BOOT_PORT, Arrival, Decision, Query, Silence
from netboot.dhcp.identify import NotBooting, identify
from netboot.dhcp.message import Message, MessageType, Op
from netboot.dhcp.own import answer_own
from netboot.dhcp.policy import Policy
from netboot.dhcp.proxy import answer_boot_server, answer_proxy

_FROM_CLIENTS = frozenset(
    (
        MessageType.DISCOVER,
        MessageType.REQUEST,
        MessageType.DECLINE,
        MessageType.RELEASE,
        MessageType.INFORM,
    )
)


def answer(message: Message, arrival: Arrival, policy: Policy, now: float) -> Decision:
    """What to do about one packet: at most one reply, with the client's xid, or silence with its reason."""
    if message.op != Op.REQUEST:
        return Silence(reason="a reply, not a request")
    if message.type not in _FROM_CLIENTS:
        return Silence(reason="BOOTP, or a message type that no client of ours sends")
    mac = message.mac
    if mac is None:
        return Silence(reason="no Ethernet address of a single client")
    found = identify(message, mac)
    query = Query(
        message=message,
        mac=mac,
        arrival=arrival,
        policy=policy,
        now=now,
        asker=None if isinstance(found, NotBooting) else found,
        client=policy.boot.clients.find(mac),
    )
    if arrival.port == BOOT_PORT and policy.mode is not DhcpMode.OFF:
        return answer_boot_server(query)
    return _MODES[policy.mode](query)


def _off(query: Query) -> Decision:
    return Silence(reason=f"DHCP is off on {query.policy.interface}")


_MODES: Mapping[DhcpMode, Callable[[Query], Decision]] = {
    DhcpMode.OWN: answer_own,
    DhcpMode.PROXY: answer_proxy,
    DhcpMode.OFF: _off,
}
