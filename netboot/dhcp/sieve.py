"""A filter in the kernel that lets DHCP servers' replies to clients through, and nothing else.

A packet socket would hand us every packet of the interface; with this program (classic BPF, `man 7 socket`,
SO_ATTACH_FILTER) the kernel drops all but UDP from port 67 to 68 that others sent, before it wakes us.
"""

from __future__ import annotations

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26
_SERVER_PORT, _CLIENT_PORT = 67, 68

# Codes of classic BPF (linux/filter.h): load word, half word and byte at a fixed place; half word relative to X; the
# length of the IP header into X; jumps; return.
_LD_W, _LD_H, _LD_B, _LD_H_X, _LDX_IP_HEADER = 0x20, 0x28, 0x30, 0x48, 0xB1
_JEQ, _JSET, _RET = 0x15, 0x45, 0x06
_PACKET_TYPE = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE
_OUTGOING, _UDP, _FRAGMENT_OFFSET = socket.PACKET_OUTGOING, socket.IPPROTO_UDP, 0x1FFF
_WHOLE = 0xFFFF

# (code, jump if true, jump if false, value).  Jumps count from the next line; the last line but one lets through.
_PROGRAM = (
    (_LD_W, 0, 0, _PACKET_TYPE),
    (_JEQ, 10, 0, _OUTGOING),
    (_LD_B, 0, 0, 9),
    (_JEQ, 0, 8, _UDP),
    (_LD_H, 0, 0, 6),
    (_JSET, 6, 0, _FRAGMENT_OFFSET),
    (_LDX_IP_HEADER, 0, 0, 0),
    (_LD_H_X, 0, 0, 0),
    (_JEQ, 0, 3, _SERVER_PORT),
    (_LD_H_X, 0, 0, 2),
    (_JEQ, 0, 1, _CLIENT_PORT),
    (_RET, 0, 0, _WHOLE),
    (_RET, 0, 0, 0),
)


def attach_sieve(sock: socket.socket) -> None:
    """Have `sock`, a packet socket without link-layer headers, receive other servers' DHCP replies alone."""
    program = b"".join(struct.pack("=HBBI", *line) for line in _PROGRAM)
    buffer = ctypes.create_string_buffer(program, len(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_PROGRAM), ctypes.addressof(buffer)))
