#!/usr/bin/env python3
"""Tells of each IPv4 packet that arrives on an interface its VLAN, 0 for none, and who sent it.

The kernel takes a frame's tag off and tells it beside the frame (packet(7), PACKET_AUXDATA).
"""

import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 0x10
AUXDATA = struct.Struct("=IIIHHHH")
ETH_P_ALL, IPV4, OUTGOING = 3, 0x0800, 4

sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
sock.bind((sys.argv[1], ETH_P_ALL))
sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
while True:
    packet, ancillary, _, (_, protocol, kind, *_) = sock.recvmsg(4096, socket.CMSG_SPACE(AUXDATA.size))
    ((_, _, data),) = ancillary
    status, _, _, _, _, tag, _ = AUXDATA.unpack(data)
    if protocol == IPV4 and kind != OUTGOING:
        print(tag & 0xFFF if status & VLAN_VALID else 0, socket.inet_ntoa(packet[12:16]), flush=True)
