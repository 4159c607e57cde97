"""Making versions from recipes: `netboot image build`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.image.arguments import AllowOption
from netboot.cli.image.shelf import shelved, shelved_shape
from netboot.cli.output import print_json, size
from netboot.cli.place import ConfigOption, DataDirOption, JsonOption, Place, complete_recipe, place_of
from netboot.cli.progress import BuildProgress
from netboot.config import ImageSettings, load_config
from netboot.config.paths import recipes_dir
from netboot.images.builder import DEFAULTS, BuildOptions, build_image
from netboot.images.lint import Allowance
from netboot.images.lock import read_lock
from netboot.images.recipe import Recipe, load_recipe
from netboot.model.image import Version
from netboot.model.names import LATEST, VersionRef


def add_to(app: typer.Typer) -> None:
    app.command()(build)


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
    locked: Annotated[
        Path | None,
        typer.Option(
            "--locked", metavar="FILE", readable=False, help="A version's manifest.json: its packages, and no others."
        ),
    ] = None,
    allow: AllowOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Build the next version of an image from its recipe.

    Clients that are assigned to the image's newest version boot the new one from then on, and so do those that are
    assigned to the image without more while it has no tag `stable`; those that run keep theirs.  A build that fails or
    is interrupted leaves nothing behind.  Takes root, some minutes, and about three times the image's size on disk
    while it works.

    The tree is prepared, so that it is no one machine's, and refused if it holds private keys, passwords or tokens that
    neither the recipe nor --allow allows.  The settings of [images] are read from --config.

    From the same packages, recipe and number the same bits are built, whenever and wherever: no time in them is later
    than the packages' archive, or than the recipe's date.

    \b
    Examples:
      netboot image build debian-minimal
      netboot image build debian-minimal --if-missing --note 'before the upgrade'
      netboot image build kiosk --recipes /etc/netboot/images --config /etc/netboot/netboot.toml
      netboot image build kiosk --allow private-key:etc/app/test.key
      netboot image build kiosk --locked kiosk-3.json --mirror http://mirror.example/snapshot

    \b
    Exit codes: 0 built; 1 it holds what must not be published, or lacks what is locked; 2 the recipe is wrong; 3 no
    such recipe; 4 it is being built by another process; 5 not root; 6 a program, space or the mirror is missing;
    130 interrupted.
    """
    place = place_of(ctx, data_dir)
    plan = load_recipe(recipes or recipes_dir(), recipe)
    newest = VersionRef(plan.name, LATEST)
    there = if_missing and place.images.find(newest) is not None
    if there:
        version = place.images.get(newest)
    else:
        plan = dataclasses.replace(plan, allow=(*plan.allow, *(Allowance.parse(each) for each in allow or ())))
        site = load_config(config).images if config else ImageSettings()
        options = BuildOptions(
            mirror=mirror,
            snapshots=site.snapshot,
            lock=read_lock(locked) if locked else None,
            site_table=site.prepare,
            note=note,
        )
        version = make_version(place, plan, options, quiet=json_)
    if json_:
        print_json(shelved_shape(shelved(place.images, version)))
    else:
        typer.echo(f"{version.label} " + ("is there already" if there else f"is built, {size(version.size_bytes)}"))


def make_version(place: Place, plan: Recipe, options: BuildOptions = DEFAULTS, *, quiet: bool = False) -> Version:
    """Build the next version, showing how far it is."""
    with BuildProgress(quiet=quiet) as progress:
        return build_image(plan, store=place.images, cache=place.data.cache, progress=progress, options=options)
