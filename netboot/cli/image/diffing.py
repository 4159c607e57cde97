"""What changed from version to version: `netboot image diff`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from netboot.cli.image.arguments import ImageArgument
from netboot.cli.output import print_json, printable, size
from netboot.cli.place import DataDirOption, JsonOption, complete_image, place_of
from netboot.cli.shapes import difference_shape
from netboot.errors import InvalidInput
from netboot.images.comparing import Difference, compare
from netboot.images.diff import FileChange, PackageChange
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.names import VersionRef


def add_to(app: typer.Typer) -> None:
    app.command()(diff)


def diff(
    ctx: typer.Context,
    image: ImageArgument,
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE[:REF]",
            help="The later one [default: what it was made from is compared with it].",
            autocompletion=complete_image,
        ),
    ] = None,
    packages: Annotated[bool, typer.Option("--packages", help="Packages only.")] = False,
    times: Annotated[bool, typer.Option("--times", help="Also files that differ in their time alone.")] = False,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what changed between two versions: packages, and files with what of them is different.

    With one version, what it changed of the version that it was made from.  `+` is what was added, `-` what was
    removed, `>` a package that went up, `<` one that went down, and `~` a file that both have and that differs.

    \b
    Examples:
      netboot image diff debian-minimal
      netboot image diff debian-minimal:1 debian-minimal:3 --packages
      netboot image diff debian-minimal:stable debian-minimal:latest --json | jq '.files | length'

    \b
    Exit codes: 0 shown; 2 there is nothing to compare it with; 3 no such image or version; 5 not root.
    """
    store = place_of(ctx, data_dir).images
    old, new = _pair(store, image, other)
    found = compare(store, old, new, with_times=times)
    if json_:
        print_json(difference_shape(found))
        return
    for line in _lines(found, packages_only=packages):
        typer.echo(line)


def _pair(store: ImageStore, image: str, other: str | None) -> tuple[Version, Version]:
    version = store.get(VersionRef.parse(image))
    if other is not None:
        return version, store.get(VersionRef.parse(other))
    if version.parent is None:
        raise InvalidInput(f"{version.label} was made from no other version", hint="name two versions")
    return store.get(VersionRef(version.image, version.parent.number)), version


def _lines(found: Difference, *, packages_only: bool) -> Iterator[str]:
    for package in found.packages:
        yield _package(package)
    if packages_only:
        return
    if found.packages and found.files:
        yield ""
    for file in found.files:
        yield _file(file)
    grown = sum(_bytes(each) for each in found.files)
    yield ""
    amount = f"{'+' if grown >= 0 else '-'}{size(abs(grown))}"
    yield f"{len(found.files)} paths differ, {amount} from {found.old.label} to {found.new.label}"


_SIGNS = {"added": "+", "removed": "-", "up": ">", "down": "<"}


def _package(change: PackageChange) -> str:
    versions = " -> ".join(each for each in (change.before, change.after) if each is not None)
    return printable(f"{_SIGNS[change.step]} {change.name} {versions}")


def _file(change: FileChange) -> str:
    slash = "/" if change.kind == "folder" else ""
    sign = "~" if change.what else "-" if change.after is None else "+"
    return printable(f"{sign} /{change.path}{slash}" + (f"  ({', '.join(change.what)})" if change.what else ""))


def _bytes(change: FileChange) -> int:
    return (change.after.size_bytes if change.after else 0) - (change.before.size_bytes if change.before else 0)
