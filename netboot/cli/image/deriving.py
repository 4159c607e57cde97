"""Compressed forms of a version's root: `netboot image derive`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netboot.cli.image.arguments import ImageArgument
from netboot.cli.image.shelf import derived_shape
from netboot.cli.output import print_json, size
from netboot.cli.place import DataDirOption, JsonOption, place_of
from netboot.cli.progress import byte_progress
from netboot.images.derive import ensure, work_bytes
from netboot.model.names import VersionRef
from netboot.model.root import RootFormat


class Derivable(StrEnum):
    """The formats that a root is derived in."""

    EROFS = RootFormat.EROFS.value
    SQUASHFS = RootFormat.SQUASHFS.value


def add_to(app: typer.Typer) -> None:
    app.command()(derive)


def derive(
    ctx: typer.Context,
    image: ImageArgument,
    format: Annotated[Derivable, typer.Option("--format", help="What to make of its root.")] = Derivable.EROFS,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a version's root as a compressed file system, for clients whose root_format says so.

    The daemon does so before the first such client boots, which takes a minute or more; done before, nobody waits.
    What is there already is not made again. erofs is quick to read; squashfs is smaller, and refused where a file has
    ACLs, which it would lose. A dm-verity hash tree is made beside it. `netboot image gc` removes both when nobody
    needs the version, `rm` with the version. Takes root.

    \b
    Examples:
      netboot image derive debian-minimal
      netboot image derive debian-minimal:3 --format squashfs
      netboot image derive debian-minimal --json | jq -r .root_hash

    \b
    Exit codes: 0 it is there; 1 the version is damaged; 2 the format cannot hold its files; 3 no such image or version;
    5 not root; 6 a program or space is missing; 130 interrupted.
    """
    store = place_of(ctx, data_dir).images
    version, wanted = store.get(VersionRef.parse(image)), RootFormat(format.value)
    with byte_progress(work_bytes(version), what=f"deriving {wanted}", quiet=json_) as advance:
        root = ensure(store, version, wanted, advance)
    if json_:
        print_json(derived_shape(wanted, root))
    else:
        typer.echo(f"{version.label} is there as {wanted}, {size(root.size_bytes)}")
