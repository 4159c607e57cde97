"""Many packets in one call of the kernel (recvmmsg(2)), each with its sender and the address that it was sent to.

Python's own `recvmsg` gives Python's lock up with each packet, and has to wait for it again whenever another thread
computes.  This keeps the lock: what is there is copied, some microseconds a packet, and nothing is waited for.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from functools import lru_cache
from ipaddress import IPv4Address

from netboot.dhcp.decision import Arrival
from netboot.dhcp.destination import EVERYONE
from netboot.dhcp.packets import Packet

IP_PKTINFO = 8
# No DHCP message is longer than one packet; what is cut off here would not have been read.
PACKET_MAX = 4096
# Packets a call: enough to share it, few enough that their copies stay in the processor's cache.
AT_ONCE = 64


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr` of <sys/socket.h>."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


_NAME = 16  # of struct sockaddr_in: family, port and address, then nothing
_INFO = struct.Struct("@I4s4s")  # struct in_pktinfo: interface, our address, the address in the packet
_CONTROL = socket.CMSG_SPACE(_INFO.size)
_CONTROL_HEAD = struct.Struct("@Nii")  # struct cmsghdr: length, level, kind
_WHENCE = _NAME + _CONTROL
# Of a message the length of its control data, and its own.
_CONTROL_LENGTH_AT, _WORD = _Header.control_length.offset, ctypes.sizeof(ctypes.c_size_t)
_LENGTHS = struct.Struct(
    f"@{_CONTROL_LENGTH_AT}xN{_Message.length.offset - _CONTROL_LENGTH_AT - _WORD}xI"
    f"{ctypes.sizeof(_Message) - _Message.length.offset - 4}x"
)

_recvmmsg = ctypes.PyDLL(None, use_errno=True).recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


class Intake:
    """Room for `AT_ONCE` packets, to be used over and over; of one thread."""

    def __init__(self) -> None:
        payloads = ctypes.create_string_buffer(AT_ONCE * PACKET_MAX)
        whences = ctypes.create_string_buffer(AT_ONCE * _WHENCE)
        vectors, messages = (_IoVector * AT_ONCE)(), (_Message * AT_ONCE)()
        for number, (vector, message) in enumerate(zip(vectors, messages, strict=True)):
            vector.base, vector.length = ctypes.addressof(payloads) + number * PACKET_MAX, PACKET_MAX
            header, whence = message.header, ctypes.addressof(whences) + number * _WHENCE
            header.name, header.name_length = whence, _NAME
            header.control, header.control_length = whence + _NAME, _CONTROL
            header.vectors, header.vector_count = ctypes.addressof(vector), 1
        # The kernel writes lengths over ours, so all is put back before each call.
        self._blank = bytes(messages)
        self._place = ctypes.addressof(messages)
        self._vectors = vectors  # kept alive, since the kernel is only told where they are
        views = [memoryview(each).cast("B") for each in (payloads, whences, messages)]
        self._payloads, self._whences, self._messages = views

    def take(self, sock: socket.socket, port: int) -> list[Packet]:
        """What waits on the UDP socket of our `port`, with `IP_PKTINFO` set; fewer than `AT_ONCE` mean that was all.

        Raises OSError: the link went down, or an ICMP error of an earlier reply came back.
        """
        self._messages[:] = self._blank
        count = _recvmmsg(sock.fileno(), self._place, AT_ONCE, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                return []
            raise OSError(number, os.strerror(number))
        payloads, whences = self._payloads, self._whences
        taken, at, whence_at = [], 0, 0
        for control, size in _LENGTHS.iter_unpack(self._messages[: count * _LENGTHS.size]):
            arrival = _arrival(whences[whence_at : whence_at + _WHENCE].tobytes(), control, port)
            taken.append(Packet(payloads[at : at + size].tobytes(), arrival))
            at, whence_at = at + PACKET_MAX, whence_at + _WHENCE
        return taken


@lru_cache(maxsize=1024)
def _arrival(whence: bytes, control_length: int, port: int) -> Arrival:
    """Almost all packets come from the same few: a relay, or a client that has no address yet."""
    source = IPv4Address(whence[4:8]), int.from_bytes(whence[2:4], "big")
    asked = EVERYONE  # when the kernel does not say
    if control_length >= _CONTROL_HEAD.size + _INFO.size:
        _, level, kind = _CONTROL_HEAD.unpack_from(whence, _NAME)
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            asked = IPv4Address(_INFO.unpack_from(whence, _NAME + _CONTROL_HEAD.size)[2])
    return Arrival(source=source, destination=asked, port=port)
