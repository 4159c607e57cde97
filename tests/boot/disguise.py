"""A wire that makes an iPXE ROM look like any other PXE ROM, until that ROM has fetched a loader.

QEMU's network cards have no other ROM than iPXE, which says in option 77 and 175 what it is and is sent a script at
once.  Here these two options get numbers that mean nothing, in every DHCP packet of the machine before it asks for
its loader by TFTP; what it sends from then on is that loader's and passes as it is.  All else of the ROM is real: its
DHCP client, its TFTP client, and the UNDI interface that undionly.kpxe drives the card by.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import subprocess
import threading
from types import TracebackType
from typing import Self

from netboot.system.links import Links

# linux/if_tun.h and linux/if_packet.h
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x2, 0x1000
_ETH_P_ALL, _PACKET_OUTGOING = 0x3, 4

# Options of RFC 2132's site-specific range, in place of the user class (77) and of iPXE's own (175).
_NAMELESS = {77: 225, 175: 226}
_OPTIONS_AT = 240
_FRAME_MAX = 2048


class Disguise:
    """Stands between a client's tap and the bridge; used with `with`, before the client is switched on."""

    def __init__(self, tap: str, bridge: str) -> None:
        subprocess.run(["ip", "link", "set", tap, "nomaster"], check=True)
        self._machine = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._machine.bind((tap, 0))
        self._wire = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._wire, _TUNSETIFF, struct.pack("16sH22x", b"disguise", _IFF_TAP | _IFF_NO_PI))
        with Links() as links:
            links.attach("disguise", bridge=bridge)
            links.set_up("disguise")
        self.disguised = 0
        self._is_over = False
        self._stopped, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="disguise")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        self._machine.close()
        os.close(self._wire)

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        for each in (self._machine, self._wire, self._stopped):
            selector.register(each, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if self._stopped in ready:
                selector.close()
                return
            if self._wire in ready:
                self._machine.send(os.read(self._wire, _FRAME_MAX))
            if self._machine in ready:
                frame, sender = self._machine.recvfrom(_FRAME_MAX)
                if sender[2] != _PACKET_OUTGOING:
                    os.write(self._wire, self._passed(frame))

    def _passed(self, frame: bytes) -> bytes:
        port = udp_port(frame)
        if port == 69:
            self._is_over = True
        if port != 67 or self._is_over:
            return frame
        self.disguised += 1
        return without_a_name(frame)


def udp_port(frame: bytes) -> int | None:
    """The port that an IPv4 frame without IP options goes to, None for all else."""
    if len(frame) < 42 or frame[12:15] != b"\x08\x00\x45" or frame[23] != socket.IPPROTO_UDP:
        return None
    return int.from_bytes(frame[36:38], "big")


def without_a_name(frame: bytes) -> bytes:
    """A DHCP request's frame in which no option tells iPXE."""
    changed = bytearray(frame)
    changed[40:42] = b"\0\0"  # UDP's checksum is voluntary
    at = 42 + _OPTIONS_AT
    while at + 1 < len(changed) and changed[at] != 255:
        if changed[at] == 0:
            at += 1
            continue
        changed[at] = _NAMELESS.get(changed[at], changed[at])
        at += 2 + changed[at + 1]
    return bytes(changed)
