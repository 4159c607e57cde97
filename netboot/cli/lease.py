"""`netboot lease`: who has which address."""

from __future__ import annotations

import time

import typer

from netboot.cli.output import date, print_json, print_table
from netboot.cli.place import DataDirOption, JsonOption, place_of
from netboot.cli.shapes import lease_shape
from netboot.store import ClientRepository, LeaseRepository

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="See which addresses are lent.")


@app.command("list")
def list_leases(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List the addresses that the daemon has lent, by address.

    `active` is lent now, `expired` and `released` are free again but kept for the client if it comes back, `declined`
    was found in use by a stranger and is set aside until the time shown.

    \b
    Examples:
      netboot lease list
      netboot lease list --json | jq '.[] | select(.state == "active") | .address'

    \b
    Exit codes: 0 listed; 3 there is no database in the data directory.
    """
    with place_of(ctx, data_dir).database() as engine:
        leases = LeaseRepository(engine).load()
        names = {client.mac: client.name for client in ClientRepository(engine).list()}
    shapes = [lease_shape(lease, names, now=time.time()) for lease in leases]
    if json_:
        print_json(shapes)
        return
    heads = ("ADDRESS", "MAC", "CLIENT", "STATE", "UNTIL")
    keys = ("address", "mac", "client", "state")
    print_table(heads, [[*(shape[key] for key in keys), date(shape["expires_at"])] for shape in shapes])
