"""What other DHCP servers say on a network that we serve, overheard.

Firmware chooses among all offers, and by rules of its own: EDK2 takes a server that lends an address and names a boot
file before any ProxyDHCP.  So a router that sends a boot file beats us in silence, and a second server that lends
addresses beats us now and then.  Neither can be seen in the packets of clients, but in the replies, which clients
without an address have broadcast (rule 2.29).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.config import DhcpMode
from netboot.dhcp import options as opt
from netboot.dhcp.identify import HTTP_CLASS, PXE_CLASS
from netboot.dhcp.message import Message, MessageType, Op
from netboot.dhcp.policy import Policy
from netboot.dhcp.pxe import CONTROL, MENU, PROMPT, SERVERS
from netboot.model.event import Detail, Event, EventKind
from netboot.model.mac import MacAddress

# A server is told of once an hour, and to a machine's story once for each of its questions, which come 4 s apart.
_SERVER_S, _CLIENT_S = 3600.0, 3.0
# So long after its last question a machine still boots.
_BOOTING_S = 60.0
# Whoever invents servers or clients is told of so often within that time, and no more.
_SERVERS_MAX, _CLIENTS_MAX = 16, 4096

_REPLIES = (MessageType.OFFER, MessageType.ACK)
_PXE_FIELDS = (CONTROL, SERVERS, MENU, PROMPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Another server's reply to `mac`: the address it lends, None for a proxy, and what it says about booting."""

    server: IPv4Address
    mac: MacAddress | None
    address: IPv4Address | None
    boot: str


def foreign_reply(message: Message, source: IPv4Address, policy: Policy) -> Foreign | None:
    """What an overheard packet tells; None for requests, for our own replies, and for what lends and boots nothing.

    `source` is who sent it.  A server that names us as its next server was told to, and is no rival.
    """
    ours = (policy.server, *policy.also_known_as)
    server = opt.SERVER_ID.read(message.options) or source
    if message.op != Op.REPLY or message.type not in _REPLIES or source in ours or server in ours:
        return None
    address = message.yiaddr if int(message.yiaddr) else None
    boot = _boot_information(message)
    if message.siaddr in ours or _next_server(message) in [str(each) for each in ours]:
        boot = ""
    if address is None and not boot:
        return None
    return Foreign(server=server, mac=message.mac, address=address, boot=boot)


def _boot_information(message: Message) -> str:
    """What would have firmware boot elsewhere, in words; empty for a server that only lends addresses.

    An address in siaddr alone means nothing: many routers put their own there.
    """
    options = message.options
    file = message.file or opt.BOOT_FILE.read(options) or b""
    vendor_class = opt.VENDOR_CLASS.read(options) or b""
    said = []
    if file:
        said.append(f"the boot file {_readable(file)} of {_next_server(message) or 'that server'}")
    elif opt.TFTP_SERVER.code in options:
        said.append(f"the boot server {_next_server(message)}")
    for known in (PXE_CLASS, HTTP_CLASS):
        if vendor_class.startswith(known):
            said.append(f"option 60 {known.decode()}")
            if known is PXE_CLASS and set(opt.read_suboptions(options.get(opt.VENDOR.code, b""))) & set(_PXE_FIELDS):
                said.append("PXE options in option 43")
    return ", ".join(said)


def _next_server(message: Message) -> str:
    named = opt.TFTP_SERVER.read(message.options)
    return _readable(named) if named else str(message.siaddr) if int(message.siaddr) else ""


def _readable(text: bytes) -> str:
    return "".join(chr(each) if 32 < each < 127 else "?" for each in text[:80])


class _Told:
    """What was told when: nothing twice within `every_s`, and no more than `most` within that time."""

    def __init__(self, *, every_s: float, most: int) -> None:
        self._every_s, self._most = every_s, most
        self._at: OrderedDict[object, float] = OrderedDict()

    def is_news(self, what: object, now: float) -> bool:
        while self._at and now - next(iter(self._at.values())) >= self._every_s:
            self._at.popitem(last=False)
        if what in self._at or len(self._at) >= self._most:
            return False
        self._at[what] = now
        return True


class Rivals:
    """Who else answers on one interface, and what of that is news."""

    def __init__(self) -> None:
        self._servers = _Told(every_s=_SERVER_S, most=_SERVERS_MAX)
        self._clients = _Told(every_s=_CLIENT_S, most=_CLIENTS_MAX)
        self._booting: OrderedDict[MacAddress, float] = OrderedDict()

    def note(self, mac: MacAddress, now: float) -> None:
        """A machine boots here: what it hears from others belongs to its story."""
        self._booting[mac] = now
        self._booting.move_to_end(mac)
        if len(self._booting) > _CLIENTS_MAX:
            self._booting.popitem(last=False)

    def hear(self, heard: Foreign, policy: Policy, now: float) -> list[Event]:
        """The events that this is worth: of the server for the log, of the machine for its boot."""
        kind = _kind(heard, policy)
        events = []
        details = _details(heard, policy, kind)
        if kind is not EventKind.ADDRESS_OFFERED and self._servers.is_news((heard.server, kind), now):
            events.append(Event(at=now, kind=kind, details=details))
        mac = heard.mac
        if mac is None or now - self._booting.get(mac, float("-inf")) > _BOOTING_S:
            return events
        if self._clients.is_news((mac, kind), now):
            events.append(Event(at=now, kind=kind, mac=mac, details=details))
        return events


def _kind(heard: Foreign, policy: Policy) -> EventKind:
    if heard.boot:
        return EventKind.FOREIGN_BOOT_SERVER
    is_rival = policy.mode is DhcpMode.OWN and policy.authoritative
    return EventKind.FOREIGN_DHCP_SERVER if is_rival else EventKind.ADDRESS_OFFERED


def _details(heard: Foreign, policy: Policy, kind: EventKind) -> dict[str, Detail]:
    said: dict[str, Detail] = {"server": str(heard.server), "interface": policy.interface}
    if heard.address is not None:
        said["address"] = str(heard.address)
    if heard.boot:
        said["sent"] = heard.boot
    if kind is not EventKind.ADDRESS_OFFERED:
        said["meaning"] = _meaning(heard, policy)
    return said


def _meaning(heard: Foreign, policy: Policy) -> str:
    """What that does to clients of ours."""
    if not heard.boot:
        return "two servers lend addresses here; which of them a client takes is chance"
    if policy.mode is DhcpMode.PROXY and heard.address is not None:
        return "firmware prefers what comes with its address, so it boots from there and not from here"
    return "firmware may take its boot file from there and not from here"
