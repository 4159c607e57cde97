"""Whether something holds what must not be published: `netboot image lint`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.image.arguments import AllowOption
from netboot.cli.output import print_json
from netboot.cli.place import DataDirOption, JsonOption, complete_image, place_of
from netboot.cli.shapes import finding_shape
from netboot.images.attach import tree_of
from netboot.images.draft import Drafts
from netboot.images.lint import Allowance, Finding
from netboot.images.linting import lint_tree
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.names import VersionRef
from netboot.system.loop import attached
from netboot.system.mounts import mount_read_only, private_mounts


def add_to(app: typer.Typer) -> None:
    app.command()(lint)


def lint(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE[:REF]|DRAFT|FOLDER",
            help="A version, a draft with --draft, or a system's tree by a path with a slash.",
            autocompletion=complete_image,
        ),
    ],
    draft: Annotated[bool, typer.Option("--draft", help="It is a draft's name.")] = False,
    allow: AllowOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Look for private keys, passwords and tokens: what whoever boots an image could read.

    The same rules refuse a version when it is made.  What is found is named, and never shown.

    \b
    Examples:
      netboot image lint debian-minimal
      netboot image lint with-jq --draft
      netboot image lint ./tree --allow private-key:etc/app/test.key

    \b
    Exit codes: 0 nothing found; 1 something found; 2 --allow names no rule; 3 no such image, draft or folder;
    5 not root.
    """
    allowed = [Allowance.parse(each) for each in allow or ()]
    store = place_of(ctx, data_dir).images
    if draft:
        with tree_of(Drafts(store.directory).get(what)) as tree:
            findings = lint_tree(tree, allowed)
    elif "/" in what:
        findings = lint_tree(Path(what), allowed)
    else:
        findings = _lint_version(store.get(VersionRef.parse(what)), store, allowed)
    if json_:
        print_json([finding_shape(each) for each in findings])
    else:
        for each in findings:
            typer.echo(f"{each.allowance}\n    {each.why}")
        typer.echo(f"{len(findings) or 'nothing'} found")
    raise typer.Exit(1 if findings else 0)


def _lint_version(version: Version, store: ImageStore, allowed: list[Allowance]) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place)
        with private_mounts(), attached(store.materialise(version)) as device:
            mount_read_only(device, tree, fstype=version.filesystem)
            return lint_tree(tree, allowed)
