"""The socket on port 69: opened with errors that name the fix, and read with the address each request was sent to."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from ipaddress import IPv4Address
from typing import NamedTuple

from netboot.errors import NetbootError, NotPermitted, Unavailable

_IP_PKTINFO = 8  # linux/in.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_PKTINFO = struct.Struct("=I4s4s")

# The requests of a classroom that is switched on at once wait here.
_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
# Requests are at most 512 bytes (RFC 2347); a full Ethernet frame is more than any ROM sends.
_REQUEST_MAX = 2048


class Arrival(NamedTuple):
    """A packet, who sent it, and the address of ours that it was sent to; None for a broadcast or multicast."""

    packet: bytes
    peer: tuple[str, int]
    local: IPv4Address | None


def open_listener(address: IPv4Address, port: int, *, interface: str | None) -> socket.socket:
    """A bound socket.  Raises `Unavailable` or `NotPermitted`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        _widen(sock)
        if interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.bind((str(address), port))
    except OSError as error:
        sock.close()
        raise _explained(error, address, port, interface) from error
    return sock


def receive(sock: socket.socket) -> Arrival:
    """The next packet.  Raises BlockingIOError when there is none."""
    packet, ancillary, _, peer = sock.recvmsg(_REQUEST_MAX, socket.CMSG_SPACE(_PKTINFO.size))
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, local, destination = _PKTINFO.unpack(value)
            return Arrival(packet, peer, IPv4Address(local) if local == destination else None)
    return Arrival(packet, peer, None)


def _widen(sock: socket.socket) -> None:
    """As root beyond net.core.rmem_max, otherwise up to it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
    except PermissionError:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)


def _explained(error: OSError, address: IPv4Address, port: int, interface: str | None) -> NetbootError:
    where = f"UDP port {port} of {address}"
    match error.errno:
        case errno.EADDRINUSE:
            return Unavailable(
                f"{where} is taken, so TFTP cannot be served",
                hint=f"see who holds it with `ss -ulpn sport = :{port}`; stop it (often tftpd-hpa, atftpd or dnsmasq)",
            )
        case errno.EACCES | errno.EPERM:
            return NotPermitted(
                f"the right to open {where} is lacking",
                hint="run as root, or give the service CAP_NET_BIND_SERVICE and CAP_NET_RAW",
            )
        case errno.EADDRNOTAVAIL:
            return Unavailable(
                f"no interface has the address {address}", hint="see `ip -4 address`, and correct the configuration"
            )
        case errno.ENODEV:
            return Unavailable(
                f"there is no interface {interface}", hint="see `ip link`, and correct the configuration"
            )
    return Unavailable(f"cannot open {where}: {os.strerror(error.errno or 0)}")
