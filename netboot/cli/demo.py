"""`netboot demo`: everything once, before your eyes."""

from __future__ import annotations

import typer

from netboot.cli.image.building import make_version
from netboot.cli.lab import KeepOption, MemoryOption, TimeoutOption, run_within_walls
from netboot.cli.place import DataDirOption, Place, place_of
from netboot.config.paths import recipes_dir
from netboot.images.recipe import load_recipe
from netboot.model.names import VersionRef

IMAGE = VersionRef("debian-minimal")


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    ctx: typer.Context,
    keep: KeepOption = False,
    memory: MemoryOption = 1024,
    timeout: TimeoutOption = 600,
    data_dir: DataDirOption = None,
) -> None:
    """Boot a diskless client over the network, from an image that is built here, and show its boot as it goes.

    Builds the image debian-minimal if it is not there yet, makes a virtual network, starts the daemon on it, and boots
    one QEMU client by PXE.  Ends by itself: when the client is up, or with the verdict, which says what was reached,
    what was not, the last lines of the client's console, and what to try.  Nothing of it stays but the image and the
    files below lab/ in the data directory.  Takes root.

    \b
    Examples:
      netboot demo --data-dir .data
      netboot demo --keep

    \b
    Exit codes: 0 the client is up; 1 it is not; 5 not root; 6 a program is missing; 130 interrupted.
    """
    from netboot.lab.client import LabFirmware
    from netboot.lab.config import LabDhcp
    from netboot.lab.lab import LabSpec

    place = place_of(ctx, data_dir)
    _ensure_image(place)
    spec = LabSpec(
        firmware=LabFirmware.BIOS,
        dhcp=LabDhcp.OWN,
        data_dir=place.data.root,
        memory_mib=memory,
        timeout_s=timeout,
        keep=keep,
        image=IMAGE,
    )
    words = ["demo", "--data-dir", str(spec.data_dir), "--memory", str(memory), "--timeout", str(timeout)]
    raise typer.Exit(run_within_walls(spec, [*words, "--keep"] if keep else words))


def _ensure_image(place: Place) -> None:
    if place.images.find(IMAGE) is None:
        typer.echo(f"there is no image {IMAGE} yet; building it from its recipe, which takes some minutes")
        version = make_version(place, load_recipe(recipes_dir(), IMAGE.image))
        typer.echo(f"{version.label} is built")
