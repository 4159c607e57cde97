"""The clients that the admin has named.

A client's MAC address, name and reserved address are its own: a change that would give one of them to two
clients is a `Conflict` that says who has it, and changes nothing.  The database's constraints decide, so two
programs that write at once cannot both win; we look up who was first only to say so.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from netboot.config.wishes import read_wishes, say_wishes
from netboot.errors import Conflict, InvalidInput, NotFound
from netboot.model.client import Client
from netboot.model.loader import parse_loader
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef, parse_client_name
from netboot.model.san import SanUri
from netboot.model.strategy import Strategy
from netboot.store.database import reading, writing
from netboot.store.schema import clients, revisions

_TABLE = "clients"


class ClientRepository:
    """Clients in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, client: Client) -> None:
        """Add a client; `Conflict` when its MAC address, name or reserved address is another's."""
        row = _row(client)
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(clients).values(row))
                _bump(connection)
        except IntegrityError:
            raise self._conflict(client, besides=None) from None

    def get(self, key: str) -> Client:
        """The client of this name or MAC address; `NotFound` names the nearest."""
        with reading(self._engine) as connection:
            return _get(connection, key)

    def find(self, mac: MacAddress) -> Client | None:
        """The client with this MAC address, None when nobody added one."""
        with reading(self._engine) as connection:
            row = connection.execute(select(clients).where(clients.c.mac == str(mac))).one_or_none()
        return _client(row) if row else None

    def list(self) -> tuple[Client, ...]:
        """Every client, by name."""
        return self.snapshot()[1]

    def snapshot(self) -> tuple[int, tuple[Client, ...]]:
        """The revision and every client, of one moment."""
        with reading(self._engine) as connection:
            return _revision(connection), _all(connection)

    def change(self, key: str, change: Callable[[Client], Client]) -> Client:
        """Replace a client by what `change` makes of it, and return the new one.

        `change` runs within the transaction, so nothing that another program wrote meanwhile is lost.
        """
        old = new = self.get(key)
        try:
            with writing(self._engine) as connection:
                old = _get(connection, key)
                new = change(old)
                connection.execute(update(clients).where(clients.c.mac == str(old.mac)).values(_row(new)))
                _bump(connection)
        except IntegrityError:
            raise self._conflict(new, besides=old.mac) from None
        return new

    def remove(self, key: str) -> Client:
        """Forget a client, and return what it was; its events stay."""
        with writing(self._engine) as connection:
            client = _get(connection, key)
            connection.execute(delete(clients).where(clients.c.mac == str(client.mac)))
            _bump(connection)
        return client

    def revision(self) -> int:
        """A number that grows with every change of any client; cheap to ask."""
        with reading(self._engine) as connection:
            return _revision(connection)

    def _conflict(self, client: Client, *, besides: MacAddress | None) -> Conflict:
        others = [each for each in self.list() if each.mac != besides]
        for other in others:
            if conflict := _clash(client, other):
                return conflict
        # Whoever was in the way has been removed since; the change may simply be tried again.
        return Conflict(f"client {client.name} was changed by somebody else at the same time", hint="try again")


def _clash(client: Client, other: Client) -> Conflict | None:
    if client.mac == other.mac:
        return Conflict(
            f"{client.mac} is already client {other.name}",
            hint=f"change it with netboot client set {other.name}, or remove it: netboot client remove {other.name}",
        )
    if client.name == other.name:
        return Conflict(
            f"the name {client.name} belongs to the client with {other.mac}",
            hint=f"choose another name, or rename that client: netboot client set {other.name} --name NEW",
        )
    if client.address is not None and client.address == other.address:
        return Conflict(
            f"the address {client.address} is reserved for client {other.name}",
            hint=f"choose another address, or free it: netboot client set {other.name} --address none",
        )
    return None


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The name that was probably meant."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.5)), None)


def _get(connection: Connection, key: str) -> Client:
    row = connection.execute(select(clients).where(clients.c.name == key)).one_or_none()
    if row is None and (mac := _as_mac(key)):
        row = connection.execute(select(clients).where(clients.c.mac == str(mac))).one_or_none()
    if row is None:
        raise _not_found(key, list(connection.scalars(select(clients.c.name))))
    return _client(row)


def _not_found(key: str, names: Sequence[str]) -> NotFound:
    if not names:
        return NotFound(f"there is no client {key}", hint="add one: netboot client add MAC --name NAME --image IMAGE")
    near = nearest(key, names)
    hint = f"did you mean {near}? " if near else ""
    return NotFound(f"there is no client {key}", hint=f"{hint}netboot client list shows all")


def _as_mac(key: str) -> MacAddress | None:
    try:
        return MacAddress.parse(key)
    except InvalidInput:
        return None


def _all(connection: Connection) -> tuple[Client, ...]:
    return tuple(_client(row) for row in connection.execute(select(clients).order_by(clients.c.name)))


def _revision(connection: Connection) -> int:
    number: int = connection.execute(select(revisions.c.number).where(revisions.c.name == _TABLE)).scalar_one()
    return number


def _bump(connection: Connection) -> None:
    where = revisions.c.name == _TABLE
    connection.execute(update(revisions).where(where).values(number=revisions.c.number + 1))


def _row(client: Client) -> dict[str, Any]:
    return {
        "mac": str(client.mac),
        "name": parse_client_name(client.name),
        "image": str(client.image) if client.image else None,
        "profiles": list(client.profiles),
        "loader": str(client.loader),
        "address": str(client.address) if client.address else None,
        "kernel_args": list(client.kernel_args),
        "shell": client.shell,
        "created_at": client.created_at,
        "strategy": client.strategy.value if client.strategy else None,
        "wishes": say_wishes(client.wishes),
        "san": str(client.san) if client.san else None,
    }


def _client(row: Row[Any]) -> Client:
    return Client(
        mac=MacAddress.parse(row.mac),
        name=row.name,
        image=VersionRef.parse(row.image) if row.image else None,
        profiles=tuple(row.profiles),
        loader=parse_loader(row.loader),
        address=IPv4Address(row.address) if row.address else None,
        kernel_args=tuple(row.kernel_args),
        shell=row.shell,
        created_at=row.created_at,
        strategy=Strategy(row.strategy) if row.strategy else None,
        wishes=read_wishes(row.wishes),
        san=SanUri.parse(row.san) if row.san else None,
    )
