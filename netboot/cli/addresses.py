"""Where a client's address comes from: its record, a reservation of the configuration, or a pool.

And which address a record may have: none that is somebody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address

from netboot.cli.output import date
from netboot.config import Config, Reservation
from netboot.errors import Conflict
from netboot.model.client import Client
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress

FROM_POOL = "from the pool"


def address_sources(
    mac: MacAddress, client: Client | None, leases: Iterable[Lease], config: Config
) -> tuple[tuple[str, str], ...]:
    """Each address of the client with its source, its reservation first; `FROM_POOL` when it has none yet.

    What a packet would have to say for a reservation by identifier or relay port only the daemon sees; the leases
    tell what came of it.
    """
    found = [(str(client.address), "client record")] if client is not None and client.address else []
    for lease in leases:
        if lease.mac == mac and lease.state is not LeaseState.DECLINED and lease.address != (client and client.address):
            found.append((str(lease.address), _source(lease, config)))
    return tuple(found) or ((FROM_POOL, "default"),)


def check_free(
    address: IPv4Address, whose: Collection[MacAddress], leases: Iterable[Lease], config: Config, *, now: float
) -> None:
    """Refuse to reserve an address that is somebody else's than of these MAC addresses.

    Raises `Conflict`, and `InvalidInput` for one that no client can have.  That another client has it in its record
    is for the store to tell.
    """
    config.check_lendable(address)
    for reservation in config.reservation:
        if reservation.address == address:
            raise Conflict(
                f"{address} is reserved for {reservation.whose} in the daemon's configuration",
                hint="choose another address, or take that [[reservation]] away",
            )
    for lease in leases:
        if lease.address == address and lease.mac not in whose and lease.holds(now):
            held = _HELD[lease.state].format(lease.mac)
            raise Conflict(
                f"{address} is {held} until {date(lease.expires_at)}",
                hint="choose another address, or wait until then; netboot lease list shows all that are lent",
            )


_HELD = {
    LeaseState.ACTIVE: "lent to {}",
    LeaseState.DECLINED: "set aside, since {} found a stranger at it,",
    LeaseState.OFFERED: "held for {}",
}


def _source(lease: Lease, config: Config) -> str:
    reservation = next((each for each in config.reservation if each.address == lease.address), None)
    if reservation is not None and _is_for(reservation, lease):
        return f"configuration: reserved for {reservation.whose}"
    subnet = config.subnet_of(lease.address)
    state = "lease" if lease.state is LeaseState.ACTIVE else f"{lease.state} lease"
    return f"{state} from the pool of {subnet.network}" if subnet else state


def _is_for(reservation: Reservation, lease: Lease) -> bool:
    """Whether the lease came by the reservation, and not from the pool before somebody made that."""
    wanted = reservation.client_id
    return wanted is None or (lease.client_id or b"").removeprefix(b"\0" if wanted.is_text else b"") == wanted.octets
