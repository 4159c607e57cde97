"""`netboot client data`: what the server keeps of each client's own."""

from __future__ import annotations

from typing import Annotated

import typer

from netboot.cli.output import print_json, print_table, size
from netboot.cli.place import ClientArgument, DataDirOption, JsonOption, place_of
from netboot.cli.shapes import belongings_shape
from netboot.errors import NetbootError, NotFound
from netboot.model.mac import MacAddress
from netboot.personal.belongings import belongings
from netboot.personal.belongings import remove as remove_belongings
from netboot.store import ClientRepository

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="See and remove what clients keep on the server.")


@app.command("list")
def list_data(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List what is kept of each client's own, by MAC address: ssh host keys, and the volume of its persistent paths.

    SIZE is how much a client can keep, TAKEN what that takes on the server's disk now.  A client without a name has
    been removed.

    \b
    Examples:
      netboot client data list
      netboot client data list --json | jq '[.[].taken_bytes] | add'

    \b
    Exit codes: 0 listed; 3 there is no database in the data directory.
    """
    place = place_of(ctx, data_dir)
    with place.database() as engine:
        names = {each.mac: each.name for each in ClientRepository(engine).list()}
    shapes = [belongings_shape(each, names.get(each.mac)) for each in belongings(place.data)]
    if json_:
        print_json(shapes)
        return
    heads = ("MAC", "NAME", "KEYS", "SIZE", "TAKEN", "MOUNTED")
    print_table(heads, [_row(shape) for shape in shapes])


@app.command("remove")
def remove_data(
    ctx: typer.Context,
    client: ClientArgument,
    force: Annotated[bool, typer.Option("--force", help="Also while it is mounted.")] = False,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Remove for good what is kept of a client's own: its ssh host keys and its persistent files.

    At its next boot it gets new keys and begins with what its image has.  A client that was removed is named by its
    MAC address.  A mounted volume stays so while the daemon runs, so --force is needed after a client's boot: switch
    the client off before.

    \b
    Examples:
      netboot client data remove lab-07 --force
      netboot client data remove 52:54:00:12:34:56

    \b
    Exit codes: 0 removed; 3 nothing is kept of it; 4 it may be in use, or has disks of its own (netboot client disk).
    """
    place = place_of(ctx, data_dir)
    with place.database() as engine:
        mac = _mac(client, ClientRepository(engine))
    gone = remove_belongings(place.data, mac, forced=force)
    if json_:
        print_json(belongings_shape(gone, None))
    else:
        typer.echo(f"removed what was kept of {mac}")


def _mac(client: str, clients: ClientRepository) -> MacAddress:
    """The MAC address of a client by name, or that was written itself: it may be nobody's now."""
    try:
        return clients.get(client).mac
    except NotFound as unknown:
        try:
            return MacAddress.parse(client)
        except NetbootError:
            raise unknown from None


def _row(shape: dict[str, object]) -> tuple[object, ...]:
    sizes = (shape["size_bytes"], shape["taken_bytes"])
    return (
        shape["mac"],
        shape["name"],
        "yes" if shape["has_keys"] else "no",
        *(size(each) if isinstance(each, int) else None for each in sizes),
        "yes" if shape["is_mounted"] else "no",
    )
