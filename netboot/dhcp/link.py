"""The sockets of one interface: UDP 67 and 4011 bound to it alone, and raw ones beside them.

Bound to the device, a reply leaves where its request came in and two interfaces never mix.  The raw sockets need
CAP_NET_RAW; without it replies to clients that have no address yet are broadcast, and nobody is asked whether an
address is in use.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache
from ipaddress import IPv4Address

from netboot.dhcp.decision import BOOT_PORT, SERVER_PORT
from netboot.dhcp.destination import EVERYONE, Destination
from netboot.dhcp.frame import ArpSender, arp_probe, arp_sender, udp_datagram, udp_packet
from netboot.dhcp.intake import AT_ONCE, IP_PKTINFO, PACKET_MAX, Intake
from netboot.dhcp.packets import Packet
from netboot.dhcp.sieve import attach_sieve
from netboot.errors import NetbootError, NotPermitted, Unavailable

log = logging.getLogger(__name__)

_PKTINFO = struct.Struct("@I4s4s")
_UDP_SEGMENT = 103  # of linux/udp.h
_SIZE = struct.Struct("@H")
_NO_OFFLOAD = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
_ETH_P_IP, _ETH_P_ARP = 0x0800, 0x0806
_EVERY_STATION = b"\xff" * 6
# A classroom that is switched on at once sends faster than one commit takes: some thousand packets of room.
# On the way out packets to relays may wait for ARP.
_QUEUE_BYTES = 4 << 20
_QUEUES = (socket.SO_RCVBUF, socket.SO_SNDBUF)
_QUEUES_BY_FORCE = (33, 32)  # SO_RCVBUFFORCE, SO_SNDBUFFORCE: beyond the system's limit, with CAP_NET_ADMIN


class Link:
    """Open sockets on `interface`; the ports can be others than DHCP's for tests without root."""

    def __init__(
        self, interface: str, *, port: int = SERVER_PORT, boot_port: int = BOOT_PORT, shared: bool = False
    ) -> None:
        """`shared` lets another DHCP server on this host keep port 67: what a ProxyDHCP is made for.

        Raises `Unavailable` for a missing interface and a taken port, `NotPermitted` for a lacking right.
        """
        self.interface = interface
        with ExitStack() as undo:
            self._udp = {
                SERVER_PORT: undo.enter_context(_open_udp(interface, port, shared=shared)),
                BOOT_PORT: undo.enter_context(_open_udp(interface, boot_port, shared=False)),
            }
            self._ip = _open_packet(interface, 0)
            self._arp = _open_packet(interface, _ETH_P_ARP) if self._ip else None
            self._replies = _open_packet(interface, _ETH_P_IP, sieve=attach_sieve) if self._ip else None
            self._undo = undo.pop_all()
        for raw in filter(None, (self._ip, self._arp, self._replies)):
            self._undo.enter_context(raw)
        self._intake = Intake()
        self._offloads = True
        self._bound = {port: int(sock.getsockname()[1]) for port, sock in self._udp.items()}
        if self._ip is None:
            log.warning("%s: no CAP_NET_RAW, so replies are broadcast and addresses are not probed", interface)

    def close(self) -> None:
        self._undo.close()

    @property
    def sockets(self) -> list[socket.socket]:
        """What to wait on."""
        return [*self._udp.values(), *filter(None, (self._arp, self._replies))]

    @property
    def port(self) -> int:
        return self._bound[SERVER_PORT]

    @property
    def boot_port(self) -> int:
        return self._bound[BOOT_PORT]

    def receive(self, limit: int) -> Iterator[Packet]:
        """The packets that wait on either port, at most `limit` of each or a little more."""
        for port, sock in self._udp.items():
            for _ in range(0, limit, AT_ONCE):
                try:
                    packets = self._intake.take(sock, port)
                except OSError as error:  # the link went down, or an ICMP error of an earlier reply came back
                    log.debug("%s: %s", self.interface, error)
                    break
                yield from packets
                if len(packets) < AT_ONCE:
                    break

    def send(self, payloads: Sequence[bytes], to: Destination, *, source: IPv4Address, port: int) -> None:
        """Send replies of one length to one place from our `port` (67 or 4011).  Raises OSError if the kernel refuses.

        Broadcasts go raw as well, so that they never queue behind packets that wait for ARP.
        """
        hardware = to.hardware.octets if to.hardware else _EVERY_STATION if to.address == EVERYONE else None
        if self._ip is None or hardware is None:
            self._send_udp(payloads, to, source, port)
            return
        for payload in payloads:
            packet = udp_packet(payload, (source, self._bound[port]), (to.address, to.port))
            self._ip.sendto(packet, (self.interface, _ETH_P_IP, 0, 0, hardware))

    def _send_udp(self, payloads: Sequence[bytes], to: Destination, source: IPv4Address, port: int) -> None:
        address = socket.inet_ntoa((to.address if to.answers_arp else EVERYONE).packed), to.port
        info, send = _sent_from(source.packed), self._udp[port].sendmsg
        if len(payloads) > 1 and self._offloads:
            try:
                send(payloads, (*info, (socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(len(payloads[0])))), 0, address)
            except OSError as error:
                if error.errno not in _NO_OFFLOAD:
                    raise
                self._offloads = False  # this interface or kernel does not cut up what it gets in one piece
            else:
                return
        for payload in payloads:
            send((payload,), info, 0, address)

    def probe(self, address: IPv4Address) -> None:
        """Ask who uses `address`; the answer comes by `arp_claims`."""
        if self._arp is None:
            return
        hardware = self._arp.getsockname()[4]
        if len(hardware) == 6:
            with suppress(OSError):
                self._arp.sendto(arp_probe(hardware, address), (self.interface, _ETH_P_ARP, 0, 0, _EVERY_STATION))

    def arp_claims(self) -> Iterator[ArpSender]:
        """What other stations said in ARP since the last call."""
        while self._arp is not None:
            try:
                packet, where = self._arp.recvfrom(64)
            except OSError:
                return
            if where[2] != socket.PACKET_OUTGOING and (claim := arp_sender(packet)):
                yield claim

    def overheard(self, limit: int) -> Iterator[tuple[IPv4Address, bytes]]:
        """What other DHCP servers said to clients here since the last call, and who; at most `limit` of it."""
        for _ in range(limit if self._replies else 0):
            try:
                packet = self._replies.recv(PACKET_MAX) if self._replies else b""
            except OSError:
                return
            if datagram := udp_datagram(packet):
                yield datagram


def _open_udp(interface: str, port: int, *, shared: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option in _QUEUES:
            sock.setsockopt(socket.SOL_SOCKET, option, _QUEUE_BYTES)
        for option in _QUEUES_BY_FORCE:
            with suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, option, _QUEUE_BYTES)
        sock.bind(("0.0.0.0", port))  # noqa: S104  # bound to the device; broadcasts reach no narrower address
    except OSError as error:
        sock.close()
        raise _explained(error, interface, port) from error
    return sock


def _open_packet(
    interface: str, protocol: int, *, sieve: Callable[[socket.socket], None] | None = None
) -> socket.socket | None:
    """A socket that leaves the Ethernet header to the kernel, so that VLAN devices work; None without the right."""
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
    except PermissionError:
        return None
    if sieve is not None:
        sieve(sock)  # before it is bound, so that nothing else ever gets in
    sock.bind((interface, protocol))
    return sock


@lru_cache(maxsize=64)
def _sent_from(address: bytes) -> tuple[tuple[int, int, bytes]]:
    """What has the kernel send from this address of ours."""
    return ((socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, address, bytes(4))),)


def _explained(error: OSError, interface: str, port: int) -> NetbootError:
    match error.errno:
        case errno.ENODEV:
            return Unavailable(
                f"there is no network interface {interface}",
                hint="ip link lists them; name the right one in [[interface]] of the configuration",
            )
        case errno.EADDRINUSE:
            return Unavailable(
                f"UDP port {port} on {interface} is taken by another program",
                hint=f"see which: ss -ulpn 'sport = :{port}'; stop another DHCP server, as by "
                'systemctl stop isc-dhcp-server dnsmasq kea-dhcp4-server, or set dhcp = "proxy" to work beside it',
            )
        case errno.EACCES | errno.EPERM:
            return NotPermitted(
                f"UDP port {port} on {interface} needs rights that this process lacks",
                hint="run as root, or give it CAP_NET_BIND_SERVICE, CAP_NET_RAW and CAP_NET_ADMIN",
            )
        case _:
            return Unavailable(f"UDP port {port} on {interface} cannot be opened: {error.strerror}")
