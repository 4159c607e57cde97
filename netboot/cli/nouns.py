"""The nouns of the command line, each loaded when it is named: what one needs, no other shall wait for.

A noun with many verbs loads the one that is named, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from importlib import import_module

import typer


class _Kind(Enum):
    """What a noun's module gives: a command that it adds itself, its verbs, or those verbs that are named."""

    COMMAND = auto()
    VERBS = auto()
    NAMED_VERBS = auto()


# By name, which is the module's too, in the order of `netboot --help`.
_NOUNS: Mapping[str, _Kind] = {
    "serve": _Kind.COMMAND,
    "config": _Kind.VERBS,
    "client": _Kind.VERBS,
    "image": _Kind.NAMED_VERBS,
    "lease": _Kind.VERBS,
    "events": _Kind.COMMAND,
    "boot": _Kind.VERBS,
    "lab": _Kind.VERBS,
    "demo": _Kind.COMMAND,
}
# Options of the program itself whose value is the next word.
_WITH_VALUE = ("--data-dir", "--database")
# Commands that need none.
_OF_THE_PROGRAM = ("version",)
# Set while a shell completes words: then the words are in its variables.
_COMPLETING = "_NETBOOT_COMPLETE"


def add_nouns(app: typer.Typer, words: Sequence[str] = ()) -> None:
    """Add the noun that a command line is about, or all of them if that is not plain."""
    named, verb = noun_and_verb(words)
    for name, kind in _NOUNS.items():
        if named not in (None, name):
            continue
        loaded = import_module(f"netboot.cli.{name}")
        match kind:
            case _Kind.COMMAND:
                loaded.add_to(app)
            case _Kind.VERBS:
                app.add_typer(loaded.app, name=name)
            case _Kind.NAMED_VERBS:
                app.add_typer(loaded.make_app(verb), name=name)


def noun_and_verb(words: Sequence[str]) -> tuple[str | None, str | None]:
    """The noun of a command line and the word after it; None for the noun if it has none that we know."""
    if _COMPLETING in os.environ:
        return None, None
    rest = iter(words)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return (word, next(rest, None)) if word in (*_NOUNS, *_OF_THE_PROGRAM) else (None, None)
    return None, None
