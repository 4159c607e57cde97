"""What there is: `netboot image list` and `show`."""

from __future__ import annotations

import typer

from netboot.cli.image.arguments import ImageArgument
from netboot.cli.output import date, print_json, print_table, size
from netboot.cli.place import DataDirOption, JsonOption, place_of
from netboot.cli.shapes import version_shape
from netboot.model.image import Version
from netboot.model.names import VersionRef


def add_to(app: typer.Typer) -> None:
    app.command("list")(list_images)
    app.command()(show)


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
    print_table(heads, [(v.label, v.kernel_version, v.arch, size(v.size_bytes), date(v.created_at)) for v in versions])


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
