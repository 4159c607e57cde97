"""Whether a version boots: `netboot image boot-test`."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from netboot.cli.image.arguments import ImageArgument
from netboot.cli.lab import MemoryOption, TimeoutOption, run_within_walls, spec_words
from netboot.cli.output import print_json, span
from netboot.cli.place import DataDirOption, JsonOption, place_of
from netboot.cli.shapes import boot_test_shape
from netboot.images.boottests import BootTest
from netboot.model.names import LATEST, VersionRef
from netboot.system.users import user_name


def add_to(app: typer.Typer) -> None:
    app.command("boot-test")(boot_test)


def boot_test(
    ctx: typer.Context,
    image: ImageArgument,
    firmware: Annotated[
        Literal["bios", "uefi", "uefi-http", "secure"], typer.Option("--firmware", help="What the machine starts with.")
    ] = "bios",
    memory: MemoryOption = 1024,
    timeout: TimeoutOption = 600,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Boot a version in the lab, from firmware to login prompt, without touching any client.

    A machine of its own boots it over a virtual network (netboot lab boot, which can do more).  The outcome is noted:
    netboot image promote --tested moves a tag only to a version that was up when it was last tested.

    IMAGE without more means its newest version.

    \b
    Examples:
      netboot image boot-test debian-minimal
      netboot image boot-test debian-minimal:4 --firmware uefi && netboot image promote debian-minimal:4 --tested

    \b
    Exit codes: 0 it is up; 1 it is not, and why; 3 no such image or version; 5 not root; 6 a program is missing;
    130 interrupted.
    """
    from netboot.lab.client import LabFirmware
    from netboot.lab.config import LabDhcp
    from netboot.lab.lab import LabSpec

    place = place_of(ctx, data_dir)
    ref = VersionRef.parse(image)
    version = place.images.get(VersionRef(ref.image, LATEST if ref.selector is None else ref.selector))
    spec = LabSpec(
        firmware=LabFirmware(firmware),
        dhcp=LabDhcp.OWN,
        data_dir=place.data.root,
        memory_mib=memory,
        timeout_s=timeout,
        image=VersionRef(version.image, version.number),
    )
    began = time.monotonic()
    code = run_within_walls(spec, ["lab", "boot", *spec_words(spec)], shown=not json_)
    if code not in (0, 1):
        raise typer.Exit(code)
    test = BootTest(
        number=version.number,
        digest=str(version.digest),
        at=round(time.time(), 3),
        who=user_name(),
        firmware=firmware,
        is_up=code == 0,
        seconds=round(time.monotonic() - began, 1),
    )
    place.images.add_boot_test(version, test)
    if json_:
        print_json(boot_test_shape(version.image, test))
    else:
        typer.echo(
            f"{version.label} {'is up' if test.is_up else 'did not come up'} with {firmware}, {span(test.seconds)}"
        )
    raise typer.Exit(code)
