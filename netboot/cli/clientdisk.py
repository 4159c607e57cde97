"""`netboot client disk`: the disks that clients have of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from netboot.cli.output import print_json, print_table, size
from netboot.cli.place import ClientArgument, DataDirOption, JsonOption, Place, complete_image, place_of
from netboot.cli.shapes import Shape, disk_shape
from netboot.cli.stories import Stories
from netboot.errors import Unavailable
from netboot.exports.detect import make_iscsi_backend
from netboot.model.names import VersionRef
from netboot.personal.disks import disk_states, remove_disks

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="See and remove the disks that clients have.")


@app.command("list")
def list_disks(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List the disks that clients have of their own, by MAC address: those that are kept, and those of one boot.

    SIZE is what a disk can take on the server, TAKEN what it takes now; what it shares with its version is counted
    too.  USED says whether its client is logged in.  A client without a name has been removed.

    \b
    Examples:
      netboot client disk list
      netboot client disk list --json | jq -r '.[] | select(.persistent == "keep") | .version'

    \b
    Exit codes: 0 listed; 3 there is no database in the data directory.
    """
    place = place_of(ctx, data_dir)
    with place.database() as engine:
        names = Stories(engine).names()
    states = disk_states(place.data.clients, users_of(place))
    shapes = [disk_shape(each, names.get(each.disk.mac)) for each in states]
    if json_:
        print_json(shapes)
        return
    print_table(("MAC", "NAME", "VERSION", "PERSISTENT", "SIZE", "TAKEN", "USED"), [_row(shape) for shape in shapes])


@app.command("remove")
def remove_disk(
    ctx: typer.Context,
    client: ClientArgument,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="IMAGE:NUMBER",
            help="Only the disks over this version; by default all of the client's.",
            autocompletion=complete_image,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Remove disks of a client for good, with all that it wrote to them.

    Its next boot gets a new one, as its version is, if it still shall have one.  A client that was removed is named by
    its MAC address.  A client that is logged in at one of them keeps all: switch it off before.

    \b
    Examples:
      netboot client disk remove lab-07
      netboot client disk remove lab-07 --version debian-minimal:3
      netboot client disk remove 52:54:00:12:34:56

    \b
    Exit codes: 0 removed; 3 it has none; 4 it is logged in at one.  When it fails, nothing is removed.
    """
    place = place_of(ctx, data_dir)
    label = str(VersionRef.parse(version)) if version else None
    with place.database() as engine:
        mac = Stories(engine).mac(client)
    gone = remove_disks(place.data.clients, mac, users_of(place), version=label)
    if json_:
        print_json([disk_shape(each, None) for each in gone])
        return
    for each in gone:
        typer.echo(f"removed the disk of {mac} over {each.disk.label}")


def users_of(place: Place) -> Callable[[Iterable[str]], frozenset[str]]:
    """Tells at which targets somebody is logged in; at none where this machine has no iSCSI server."""

    def used(targets: Iterable[str]) -> frozenset[str]:
        names = list(targets)
        if not names:
            return frozenset()
        try:
            server = make_iscsi_backend(place.config(None).exports.iscsi, run=place.data.run, root=place.data.exports)
        except Unavailable:
            return frozenset()
        return frozenset(each.target.name for each in server.observe(names) if each.users)

    return used


def _row(shape: Shape) -> tuple[object, ...]:
    kind = f"{shape['persistent']} {shape['generation']}" if shape["generation"] else shape["persistent"]
    sizes = (size(shape["size_bytes"]), size(shape["taken_bytes"]))
    return (shape["mac"], shape["name"], shape["version"], kind, *sizes, "yes" if shape["is_used"] else "no")
