"""What several commands of `netboot image` take."""

from __future__ import annotations

from typing import Annotated

import typer

from netboot.cli.place import complete_image

ImageArgument = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE[:REF]", help="An image, for its newest version, or one version.", autocompletion=complete_image
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="RULE:PATH", help="A secret that may be published, as the refusal names it; several times."
    ),
]
