"""Whether what is stored is whole: `netboot image verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from netboot.cli.output import print_json
from netboot.cli.place import DataDirOption, JsonOption, complete_image, place_of
from netboot.cli.progress import byte_progress
from netboot.model.names import VersionRef


def add_to(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    ctx: typer.Context,
    image: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE[:REF]", help="What to verify [default: all].", autocompletion=complete_image),
    ] = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Read versions again, bit for bit, and compare them with the digests they were published with.

    \b
    Examples:
      netboot image verify
      netboot image verify debian-minimal:3

    \b
    Exit codes: 0 all are whole; 1 a file is damaged, which is named; 3 no such image or version.
    """
    store = place_of(ctx, data_dir).images
    versions = tuple(store.get(VersionRef.parse(each)) for each in image) if image else store.list()
    with byte_progress(sum(version.size_bytes for version in versions), quiet=json_) as advance:
        for version in versions:
            store.verify(version, advance)
    if json_:
        print_json([{"image": each.image, "number": each.number, "whole": True} for each in versions])
        return
    for version in versions:
        typer.echo(f"{version.label} is whole")
