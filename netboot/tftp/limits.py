"""What the server spends at most, and whom it serves: the rules against amplification and loops, without sockets."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_BROADCAST = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True, kw_only=True)
class TftpLimits:
    """Without `served` networks every address is served; without `ports` transfers take any that is free.

    A transfer takes two descriptors at most and pins 128 KiB of packets; a PXE client has two or three at a time.
    """

    max_transfers: int = 4096
    max_per_client: int = 32
    max_blksize: int = 65464
    max_window: int = 64
    cache_bytes: int = 64 * 1024 * 1024
    served: tuple[IPv4Network, ...] = ()
    ports: range | None = None


def ignored(peer: tuple[str, int], local: IPv4Address | None, *, port: int, limits: TftpLimits) -> str | None:
    """Why a request from `peer` to our address `local` gets no answer at all, None when it is to be answered.

    A forged source must not make us send to a whole network, nor start a loop with another TFTP server.
    """
    address = IPv4Address(peer[0])
    if local is None:
        return "it was sent to a broadcast or multicast address"
    if peer[1] in (0, 69, port):
        return f"its source port is {peer[1]}"
    if address.is_multicast or address.is_unspecified or address == _BROADCAST:
        return "its source address is no client's"
    for network in limits.served:
        if address in network:
            within_31 = network.prefixlen >= 31
            return None if within_31 or address != network.broadcast_address else "its source address is a broadcast"
    return "its source address is in no served network" if limits.served else None
