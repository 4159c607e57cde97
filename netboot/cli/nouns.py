"""The nouns of the command line, each loaded when it is named: what one needs, no other shall wait for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module

import typer

# By name, in the order of `netboot --help`: the module, and whether it adds its one command itself.
_MODULES: Mapping[str, tuple[str, bool]] = {
    "serve": ("serve", True),
    "config": ("config", False),
    "client": ("client", False),
    "image": ("image", False),
    "lease": ("lease", False),
    "events": ("events", True),
    "boot": ("boot", False),
    "lab": ("lab", False),
    "demo": ("demo", True),
}
# Options of the program itself whose value is the next word.
_WITH_VALUE = ("--data-dir", "--database")
# Commands that need none.
_OF_THE_PROGRAM = ("version",)
# Set while a shell completes words: then the words are in its variables.
_COMPLETING = "_NETBOOT_COMPLETE"


def add_nouns(app: typer.Typer, words: Sequence[str] = ()) -> None:
    """Add the noun that a command line is about, or all of them if that is not plain."""
    named = noun_of(words)
    for name, (module, adds_itself) in _MODULES.items():
        if named not in (None, name):
            continue
        loaded = import_module(f"netboot.cli.{module}")
        if adds_itself:
            loaded.add_to(app)
        else:
            app.add_typer(loaded.app, name=name)


def noun_of(words: Sequence[str]) -> str | None:
    """The noun of a command line, None if it has none that we know."""
    if _COMPLETING in os.environ:
        return None
    rest = iter(words)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return word if word in (*_MODULES, *_OF_THE_PROGRAM) else None
    return None
