"""What several commands of `netboot image` take."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from netboot.cli.place import complete_image, completed_place
from netboot.errors import NetbootError


def complete_tag(ctx: typer.Context, incomplete: str) -> list[str]:
    """Tags of the image that was named, for the shell."""
    # Behind an option that still lacks its value, the words are not parsed yet.
    words = [ctx.params.get("image"), *ctx.args]
    image = next((str(word) for word in words if word), "").partition(":")[0]
    with suppress(NetbootError, OSError):
        return [tag for tag in completed_place(ctx).images.tags(image).current if tag.startswith(incomplete)]
    return []


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Images without their versions, for the shell."""
    with suppress(NetbootError, OSError):
        return [name for name in completed_place(ctx).images.names() if name.startswith(incomplete)]
    return []


ImageArgument = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE[:REF]",
        help="An image, or one version of it by number or tag.",
        autocompletion=complete_image,
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="RULE:PATH", help="A secret that may be published, as the refusal names it; several times."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="IMAGE", help="An image.", autocompletion=complete_name)]
NoteOption = Annotated[str, typer.Option("--note", "-m", metavar="TEXT", help="A remark, kept in the image's log.")]
