"""Systems that come from elsewhere and go there: `netboot image import` and `netboot image export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netboot.cli.image.arguments import AllowOption, ImageArgument
from netboot.cli.output import print_json, printable, size
from netboot.cli.place import ConfigOption, DataDirOption, JsonOption, complete_image, place_of
from netboot.cli.progress import BuildProgress
from netboot.cli.shapes import version_shape
from netboot.config import load_config
from netboot.images.exporter.formats import ExportFormat, Packing
from netboot.images.exporter.run import export_image
from netboot.images.importer.detect import Format
from netboot.images.importer.options import ImportOptions
from netboot.images.importer.run import import_image
from netboot.images.lint import Allowance
from netboot.model.names import VersionRef, parse_image_name
from netboot.model.sizes import parse_size

# So many device nodes are named; a container has none, a system that was installed has a handful.
_NAMED = 5


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_)
    app.command()(export)


def import_(
    ctx: typer.Context,
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The image to make a version of.", autocompletion=complete_image)
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", readable=False, help="The folder, archive or disk.")],
    format: Annotated[
        Format | None, typer.Option("--format", help="What the source is [default: as its bytes tell].")
    ] = None,
    partition: Annotated[
        int | None,
        typer.Option("--partition", metavar="N", help="The partition with the system [default: it is found]."),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Which image of an OCI archive.")] = None,
    kernel: Annotated[
        str | None, typer.Option("--kernel", metavar="VERSION", help="Which of its kernels [default: the newest].")
    ] = None,
    packages: Annotated[
        list[str] | None,
        typer.Option("--packages", metavar="NAME[,NAME...]", help="Install these with the system's own apt first."),
    ] = None,
    size_: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="SIZE", help="How large its file system is, as 4G [default: as it needs, and more]."
        ),
    ] = None,
    max_files: Annotated[
        int, typer.Option("--max-files", metavar="N", min=1, help="Refuse a source with more files.")
    ] = ImportOptions().max_files,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="A remark, kept with the version.")] = "",
    allow: AllowOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Make the next version of an image from a system that was installed elsewhere.

    SOURCE is a folder, a tar (plain, gz, xz, zst, bz2), a raw or qcow2 disk, of which the partition with the system is
    found, or an OCI image, as a layout's folder or archive. It must hold a kernel and initramfs-tools or dracut, or
    --packages must bring them, as with container images. The client side is installed into it, its initrd is made anew
    by its own tools. It is prepared as a built image is, and refused if it holds secrets that --allow does not allow.
    The source is never written, may be anybody's, and unpacks to at most SIZE (64G unless given). Takes root, and a few
    minutes.

    \b
    Examples:
      netboot image import office office.qcow2
      netboot image import office server.img --partition 3 --note 'from the old server'
      netboot image import kiosk kiosk.tar.zst --size 4G
      netboot image import base debian.oci --packages linux-image-amd64,systemd-sysv

    \b
    Exit codes: 0 imported; 1 its initrd cannot be made, or it holds secrets; 2 the source is broken, or no system that
    can be imported; 3 no such source; 4 the image is being built by another process; 5 not root; 6 a program or space
    is missing; 130 interrupted.
    """
    place = place_of(ctx, data_dir)
    options = ImportOptions(
        format=format,
        partition=partition,
        tag=tag,
        kernel=kernel,
        packages=_names(packages or []),
        size_bytes=parse_size(size_) if size_ else None,
        max_files=max_files,
        site_table=load_config(config).images.prepare if config else None,
        allowed=tuple(Allowance.parse(each) for each in allow or ()),
        note=note,
    )
    name = parse_image_name(image)
    with BuildProgress(quiet=json_) as progress:
        done = import_image(name, source, options, store=place.images, cache=place.data.cache, progress=progress)
    if json_:
        print_json(version_shape(done.version))
        return
    for notice in done.notices:
        typer.echo(printable(notice), err=True)
    if done.devices:
        more = ", ..." if len(done.devices) > _NAMED else ""
        named = printable(", ".join(done.devices[:_NAMED]) + more)
        typer.echo(f"{len(done.devices)} device nodes came with it: {named}", err=True)
    typer.echo(f"{done.version.label} is imported, {size(done.version.size_bytes)}")


def export(
    ctx: typer.Context,
    image: ImageArgument,
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", readable=False, help="The file or folder to make; it must not be there.")
    ],
    format: Annotated[ExportFormat, typer.Option("--format", help="What to make of it.")] = ExportFormat.TAR,
    compress: Annotated[Packing, typer.Option("--compress", help="How a tar is compressed.")] = Packing.NONE,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Write a version in a form that other tools take.

    tar holds all files with numeric owners, labels, hard links and holes, sorted, so that the same version is the same
    bytes. qcow2 is the root's file system alone, compressed; nothing in it starts a kernel, so DEST.vmlinuz and
    DEST.initrd.img are laid beside it. oci is an image layout with one layer, oci-archive the same in one file, which
    skopeo and podman take. Takes root.

    \b
    Examples:
      netboot image export debian-minimal debian.tar.zst --compress zstd
      netboot image export debian-minimal:3 debian.qcow2 --format qcow2
      netboot image export debian-minimal debian.oci --format oci && skopeo inspect oci:debian.oci

    \b
    Exit codes: 0 exported; 2 options that do not go together; 3 no such image, version or folder; 4 DEST is there
    already; 5 not root; 6 a program or space is missing; 130 interrupted.
    """
    place = place_of(ctx, data_dir)
    version = place.images.get(VersionRef.parse(image))
    with BuildProgress(quiet=json_) as progress:
        store, cache = place.images, place.data.cache
        export_image(version, destination, format, compress, store=store, cache=cache, progress=progress)
    if json_:
        print_json(
            {
                "image": version.image,
                "number": version.number,
                "format": str(format),
                "path": str(destination.absolute()),
            }
        )
    else:
        typer.echo(f"{version.label} is exported to {destination}")


def _names(words: list[str]) -> tuple[str, ...]:
    return tuple(name for word in words for name in word.split(",") if name)
