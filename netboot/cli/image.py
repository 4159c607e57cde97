"""`netboot image`: what can be booted, and how it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.output import date, print_json, print_table, size
from netboot.cli.place import DataDirOption, JsonOption, Place, complete_image, complete_recipe, place_of
from netboot.cli.progress import BuildProgress, byte_progress
from netboot.cli.shapes import version_shape
from netboot.config.paths import recipes_dir
from netboot.images.builder import build_image
from netboot.images.recipe import Recipe, load_recipe
from netboot.model.image import Version
from netboot.model.names import VersionRef

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Build images and see what there is to boot.")

ImageArgument = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE[:REF]", help="An image, for its newest version, or one version.", autocompletion=complete_image
    ),
]


@app.command()
def build(
    ctx: typer.Context,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe's name.", autocompletion=complete_recipe)],
    recipes: Annotated[
        Path | None,
        typer.Option(
            "--recipes", metavar="DIR", readable=False, help="Where recipes are [default: the program's own]."
        ),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", metavar="URL", help="Where packages come from [default: as for this machine's apt]."),
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="A remark, kept with the version.")] = "",
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing when the image has a version already.")
    ] = False,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Build the next version of an image from its recipe.

    Clients that are assigned the image without a number boot the new version from then on; those that run keep
    theirs.  A build that fails or is interrupted leaves nothing behind.  Takes root, some minutes, and about three
    times the image's size on disk while it works.

    \b
    Examples:
      netboot image build debian-minimal
      netboot image build debian-minimal --if-missing --note 'before the upgrade'
      netboot image build kiosk --recipes /etc/netboot/images

    \b
    Exit codes: 0 built; 2 the recipe is wrong; 3 no such recipe; 4 it is being built by another process;
    5 not root; 6 a program, space or the mirror is missing; 130 interrupted.
    """
    place = place_of(ctx, data_dir)
    plan = load_recipe(recipes or recipes_dir(), recipe)
    there = if_missing and place.images.find(VersionRef(plan.name)) is not None
    version = (
        place.images.get(VersionRef(plan.name))
        if there
        else make_version(place, plan, mirror=mirror, note=note, quiet=json_)
    )
    if json_:
        print_json(version_shape(version))
    else:
        typer.echo(f"{version.label} " + ("is there already" if there else f"is built, {size(_size(version))}"))


@app.command("list")
def list_images(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List every version of every image, oldest first within an image.

    \b
    Examples:
      netboot image list
      netboot image list --json | jq -r '.[] | "\\(.image):\\(.number) \\(.kernel_version)"'

    \b
    Exit codes: 0 listed; 1 a version is damaged.
    """
    versions = place_of(ctx, data_dir).images.list()
    if json_:
        print_json([version_shape(version) for version in versions])
        return
    heads = ("IMAGE", "KERNEL", "ARCH", "SIZE", "BUILT")
    print_table(heads, [(v.label, v.kernel_version, v.arch, size(_size(v)), date(v.created_at)) for v in versions])


@app.command()
def show(ctx: typer.Context, image: ImageArgument, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """Show what a version consists of.

    \b
    Examples:
      netboot image show debian-minimal
      netboot image show debian-minimal:3 --json

    \b
    Exit codes: 0 shown; 3 no such image or version.
    """
    version = place_of(ctx, data_dir).images.get(VersionRef.parse(image))
    if json_:
        print_json(version_shape(version))
        return
    print_table(("SETTING", "VALUE"), _rows(version))


@app.command()
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
    with byte_progress(sum(_size(version) for version in versions), quiet=json_) as advance:
        for version in versions:
            store.verify(version, advance)
    if json_:
        print_json([{"image": each.image, "number": each.number, "whole": True} for each in versions])
        return
    for version in versions:
        typer.echo(f"{version.label} is whole")


def make_version(
    place: Place, plan: Recipe, mirror: str | None = None, note: str = "", *, quiet: bool = False
) -> Version:
    """Build the next version, showing how far it is."""
    with BuildProgress(quiet=quiet) as progress:
        cache = place.data.cache
        return build_image(plan, store=place.images, cache=cache, progress=progress, mirror=mirror, note=note)


def _size(version: Version) -> int:
    return version.root.size_bytes + version.kernel.size_bytes + version.initrd.size_bytes


def _rows(version: Version) -> list[tuple[str, object]]:
    files = [
        (name, f"{size(file.size_bytes)}  {file.digest}  {file.path}")
        for name, file in (("root", version.root), ("kernel", version.kernel), ("initrd", version.initrd))
    ]
    return [
        ("version", version.label),
        ("digest", version.digest),
        ("built", date(version.created_at)),
        ("kernel version", version.kernel_version),
        ("arch", version.arch),
        ("filesystem", version.filesystem),
        ("kernel args", " ".join(version.kernel_args) or None),
        *files,
    ]
