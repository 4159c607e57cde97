"""Who is at an address on the wire: the kernel's table of neighbours.

In proxy mode another server lends the addresses, so this table is the only one that tells which client is
talking to us.  It knows machines on our own links alone, never those behind a router.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from netboot.errors import InvalidInput
from netboot.model.mac import MacAddress

TABLE = Path("/proc/net/arp")

_COMPLETE = 0x2  # ATF_COM of <linux/if_arp.h>: the hardware address is known


def neighbour_at(address: IPv4Address, table: Path = TABLE) -> MacAddress | None:
    """The hardware address behind `address`, None when the kernel does not know it."""
    wanted = str(address)
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        there, _, flags, hardware, *_ = line.split()
        if there == wanted and int(flags, 16) & _COMPLETE:
            return _parse(hardware)
    return None


def _parse(hardware: str) -> MacAddress | None:
    try:
        return MacAddress.parse(hardware)
    except InvalidInput:
        return None
