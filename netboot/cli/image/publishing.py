"""From a draft to a version: `netboot image prepare` and `commit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.image.arguments import AllowOption
from netboot.cli.image.editing import DraftArgument, drafts_of
from netboot.cli.output import print_json, print_table, size
from netboot.cli.place import ConfigOption, DataDirOption, JsonOption, Place, place_of
from netboot.cli.progress import BuildProgress
from netboot.cli.shapes import action_shape, version_shape
from netboot.config import load_config
from netboot.config.paths import recipes_dir
from netboot.errors import NotFound
from netboot.images.attach import tree_of
from netboot.images.clock import remembered
from netboot.images.commit import STEPS, Readying, commit_draft, recipe_name_of
from netboot.images.draft import Draft
from netboot.images.lint import Allowance
from netboot.images.prepare import Action
from netboot.images.preparing import load_table, plan_tree, prepare
from netboot.images.recipe import Recipe, load_recipe
from netboot.system.users import user_name

RecipesOption = Annotated[
    Path | None,
    typer.Option(
        "--recipes", metavar="DIR", readable=False, help="Where the image's recipe is [default: the program's own]."
    ),
]


def add_to(app: typer.Typer) -> None:
    app.command("prepare")(prepare_draft)
    app.command()(commit)


def prepare_draft(
    ctx: typer.Context,
    draft: DraftArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would be done.")] = False,
    recipes: RecipesOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a draft's system fit for many clients: remove what is one machine's own, and what has no business there.

    Identities, keys, leases, logs, caches and histories go, by a table of rules with a reason each, which the image's
    recipe and the setting images.prepare extend; docs/images.md has it.  `netboot image commit` does the same.

    \b
    Examples:
      netboot image prepare with-jq --dry-run
      netboot image prepare with-jq

    \b
    Exit codes: 0 done or shown; 2 a table is wrong; 3 no such draft; 4 somebody is at work on it; 5 not root.
    """
    place = place_of(ctx, data_dir)
    found = drafts_of(place).get(draft)
    table = _readying(place, found, recipes, config, ()).table
    with tree_of(found) as tree:
        actions = plan_tree(tree, table) if dry_run else prepare(tree, table)
    if json_:
        print_json([action_shape(each) for each in actions])
        return
    print_table(("PATH", "ACTION", "SIZE", "WHY"), [_row(each) for each in actions])
    total = sum(each.size_bytes for each in actions)
    typer.echo(f"{len(actions)} changes, {size(total)}" + (", none made" if dry_run else ""), err=True)


def commit(
    ctx: typer.Context,
    draft: DraftArgument,
    note: Annotated[
        str, typer.Option("--note", "-m", metavar="TEXT", help="What was changed [default: the draft's note].")
    ] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the draft, to go on with it.")] = False,
    allow: AllowOption = None,
    recipes: RecipesOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Publish a draft as the next version of its image.

    The draft's system is prepared for many clients (netboot image prepare), refused if it holds private keys,
    passwords or tokens (netboot image lint), checked, and compared with its version: only what differs is stored.  The
    new version appears at once and whole, or not at all.  Clients boot it when it is promoted, or at their next boot
    where the image has no tag stable.

    \b
    Examples:
      netboot image commit with-jq -m 'jq for the lab exercises'
      netboot image commit with-jq --keep --json | jq .number
      netboot image commit kiosk --allow private-key:etc/app/test.key

    \b
    Exit codes: 0 published; 1 the draft cannot be brought in order, or holds what must not be published; 3 no such
    draft; 4 somebody is at work on it or on its image, or the version below it is gone; 5 not root; 6 a program or
    space is missing; 130 interrupted.
    """
    place = place_of(ctx, data_dir)
    drafts = drafts_of(place)
    found = drafts.get(draft)
    cache = place.data.cache / f"commit-{found.note.image}.json"
    with BuildProgress(quiet=json_) as progress, remembered(cache, progress, STEPS) as clock:
        words = note or found.note.note
        version = commit_draft(
            found,
            store=place.images,
            clock=clock,
            readying=_readying(place, found, recipes, config, allow or ()),
            who=user_name(),
            note=words,
        )
    if not keep:
        drafts.discard(found)
    if json_:
        print_json(version_shape(version))
        return
    changed = version.delta.changed_bytes if version.delta else 0
    typer.echo(f"{version.label} is published: {size(changed)} changed since {found.note.parent}")
    if version.number != found.note.number + 1:
        between = f"{found.note.image}:{version.number - 1}"
        typer.echo(f"note: {between} was published meanwhile; what it changed is not in {version.label}", err=True)


def _readying(
    place: Place, draft: Draft, recipes: Path | None, config: Path | None, allow: tuple[str, ...] | list[str]
) -> Readying:
    """What the program, the site and the image's recipe say about making it ready."""
    recipe = _recipe_of(place, draft, recipes or recipes_dir())
    site = load_config(config).images.prepare if config else None
    return Readying(
        table=load_table(site, recipe.prepare if recipe else None),
        allowed=(*(recipe.allow if recipe else ()), *(Allowance.parse(each) for each in allow)),
    )


def _recipe_of(place: Place, draft: Draft, recipes: Path) -> Recipe | None:
    """The recipe that the draft's image was once built from; None when it was imported, or the recipe is not here."""
    name = recipe_name_of(place.images, draft.note.image, draft.note.number)
    try:
        return load_recipe(recipes, name) if name else None
    except NotFound:
        return None


def _row(action: Action) -> tuple[object, ...]:
    return action.path, action.action.value, size(action.size_bytes) if action.size_bytes else None, action.why
