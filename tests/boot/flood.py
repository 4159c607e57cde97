"""Sends damaged packets to a boot server: `python -m tests.boot.flood SERVER COUNT`, from a host on its network.

To each of the ports 67, 4011 and 69 go COUNT packets, made from good ones by changing, doubling, cutting and
shortening; the same ones at every run.
"""

from __future__ import annotations

import random
import socket
import sys
import time
from collections.abc import Sequence

from netboot.dhcp.message import encode
from tests.dhcp_kit import BIOS, IPXE, SYSTEM, UEFI, UEFI_HTTP, discover, macs

DHCP_SEEDS = [
    encode(discover(asker, mac=mac, flags=0x8000)) for mac in macs(4) for asker in (BIOS, UEFI, UEFI_HTTP, IPXE, SYSTEM)
]
TFTP_SEEDS = [
    b"\0\1ipxe/snponly.efi\0octet\0blksize\x001468\0windowsize\x004\0tsize\x000\0",
    b"\0\1pxelinux/pxelinux.cfg/01-52-54-00-4e-42-01\0netascii\0timeout\x002\0",
    b"\0\1/grub/../../etc/shadow\0octet\0",
    b"\0\2upload\0octet\0",
    b"\0\4\0\1",
    b"\0\5\0\0no\0",
]
PORTS: dict[int, Sequence[bytes]] = {67: DHCP_SEEDS, 4011: DHCP_SEEDS, 69: TFTP_SEEDS}
# The server shall read them all; faster than this the kernel drops what finds no room.
PAUSE_EVERY, PAUSE_S = 50, 0.01


def damaged(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with up to eight changes."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0 | 1:
                data[at : at + 1] = bytes([chance.choice((0, 1, 52, 82, 255, chance.randrange(256)))])
            case 2:
                data[at:at] = data[at : at + chance.randrange(60)]
            case 3:
                del data[at : at + chance.randrange(20)]
    return bytes(data[:1400])


def main(server: str, count: int) -> None:
    chance = random.Random(20260101)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            for port, seeds in PORTS.items():
                sender.sendto(damaged(chance, seeds), (server, port))
            if number % PAUSE_EVERY == 0:
                time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
