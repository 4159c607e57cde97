"""Whether what is stored is whole: `netboot image fsck`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from netboot.cli.output import print_json
from netboot.cli.place import DataDirOption, JsonOption, Place, complete_image, place_of
from netboot.cli.progress import byte_progress
from netboot.cli.shapes import fault_shape
from netboot.images.draft import Drafts
from netboot.images.fsck import Fault, examine, examine_all
from netboot.images.mending import mend
from netboot.images.whole import expected_bytes
from netboot.model.names import VersionRef


def add_to(app: typer.Typer) -> None:
    app.command()(fsck)


def fsck(
    ctx: typer.Context,
    versions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE[:REF]", help="Only these versions [default: everything].", autocompletion=complete_image
        ),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Check the store: read everything again, bit for bit, and compare it with what was published.

    Checks every digest and root hash, that the root of each version is there or can be made, that tags and drafts name
    versions that are there, and that nothing lies about.  Versions that are named are checked alone.  Takes as long as
    reading it all does, and may run while the daemon serves.

    Damage means that something published is not what it was.  With --repair a lost file comes back from its object, a
    root is made again from its parent's and the changes, a hash tree from its root, changes from the two roots; nothing
    is put in place but what has the digest that was published.  Leftovers do no harm; --repair removes or mends those
    that are netboot's own.

    \b
    Examples:
      netboot image fsck
      netboot image fsck debian-minimal:3
      netboot image fsck --repair
      netboot image fsck --json | jq -r '.[] | select(.damage and (.mended | not)) | .path'

    \b
    Exit codes: 0 all is whole, or was mended, whatever else lies about; 1 there is damage; 3 no such image or version;
    5 a right is lacking.
    """
    place = place_of(ctx, data_dir)
    faults = list(_look(place, versions or (), quiet=json_))
    mended = [repair and _mend(place, fault, quiet=json_) for fault in faults]
    told = list(zip(faults, mended, strict=True))
    if json_:
        print_json([fault_shape(fault, is_mended=is_mended) for fault, is_mended in told])
    else:
        for fault, is_mended in told:
            typer.echo(f"mended: {fault.path}" if is_mended else f"{_grade(fault)}: {fault}")
        if not any(fault.is_damage for fault in faults):
            typer.echo("all is whole" if not versions else f"{', '.join(versions)}: whole")
    if any(fault.is_damage and not is_mended for fault, is_mended in told):
        raise typer.Exit(1)


def _grade(fault: Fault) -> str:
    return "damage" if fault.is_damage else "leftover"


def _look(place: Place, named: Sequence[str], *, quiet: bool) -> list[Fault]:
    store = place.images
    if named:
        versions = tuple(store.get(VersionRef.parse(each)) for each in named)
    else:
        versions, _ = store.readable()
    with byte_progress(sum(map(expected_bytes, versions)), quiet=quiet) as advance:
        if named:
            return [fault for version in versions for fault in examine(store, version, advance)]
        drafts = [(each.folder, each.note.parent, each.note.digest) for each in Drafts(store.directory).list()]
        return list(examine_all(store, drafts, advance))


def _mend(place: Place, fault: Fault, *, quiet: bool) -> bool:
    with byte_progress(0, what=f"mending {fault.path.name}", quiet=quiet):
        return mend(place.images, fault)
