"""`netboot image`: what can be booted, how it is made, and how it is kept.

One module a subject; each adds its commands in the order in which `netboot image --help` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import typer

# The modules, in that order, and the verbs of each.
SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "building": ("build",),
    "transferring": ("import", "export"),
    "looking": ("list", "show", "log"),
    "diffing": ("diff",),
    "editing": ("edit", "drafts", "unmount", "discard"),
    "publishing": ("prepare", "commit"),
    "testing": ("boot-test",),
    "tagging": ("tag", "promote", "rollback"),
    "deriving": ("derive",),
    "clearing": ("rm", "gc"),
    "care": ("fsck",),
    "linting": ("lint",),
}


def make_app(verb: str | None = None) -> typer.Typer:
    """The noun with the subject of `verb`, or with all if that is no verb of it."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Build images and see what there is to boot.")
    named = [subject for subject, verbs in SUBJECTS.items() if verb in verbs]
    for subject in named or SUBJECTS:
        import_module(f"{__name__}.{subject}").add_to(app)
    return app
