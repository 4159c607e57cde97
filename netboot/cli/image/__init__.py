"""`netboot image`: what can be booted, how it is made, and how it is kept.

One module a subject; each adds its commands in the order in which `netboot image --help` shows them.
"""

from __future__ import annotations

import typer

from netboot.cli.image import (
    building,
    care,
    clearing,
    deriving,
    diffing,
    editing,
    linting,
    looking,
    publishing,
    tagging,
    testing,
    transferring,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Build images and see what there is to boot.")

for _subject in (
    building,
    transferring,
    looking,
    diffing,
    editing,
    publishing,
    testing,
    tagging,
    deriving,
    clearing,
    care,
    linting,
):
    _subject.add_to(app)
