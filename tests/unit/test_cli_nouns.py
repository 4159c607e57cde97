"""Which noun a command line is about, and that a command loads no other's libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.main import get_group

from netboot.cli.image import SUBJECTS, make_app
from netboot.cli.nouns import noun_and_verb


@pytest.mark.parametrize(
    ("words", "noun", "verb"),
    [
        ("image list", "image", "list"),
        ("--data-dir image client list", "client", "list"),
        ("--database x --data-dir y lease list --json", "lease", "list"),
        ("--data-dir=x version", "version", None),
        ("image --help", "image", "--help"),
        ("imag list", None, None),
        ("--help", None, None),
        ("", None, None),
        ("--data-dir", None, None),
    ],
)
def test_the_noun_is_the_first_word_that_is_no_option(words: str, noun: str | None, verb: str | None) -> None:
    assert noun_and_verb(words.split()) == (noun, verb)


def test_while_a_shell_completes_every_noun_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NETBOOT_COMPLETE", "complete_bash")
    assert noun_and_verb(["image", "list"]) == (None, None)


def test_who_asks_no_database_does_not_load_it() -> None:
    """Its library takes longer to load than a draft to open."""
    loaded = _loaded("image", "edit", "--help")
    assert "netboot.cli.image.editing" in loaded
    assert not loaded & {"sqlalchemy", "pyroute2", "jinja2", "netboot.store", "netboot.daemon"}
    assert not loaded & {"rich.progress", "netboot.images.builder", "netboot.images.importer.run"}


def test_each_verb_of_images_is_there_when_it_is_named_and_in_the_help_when_not() -> None:
    everything = command_names(make_app())
    assert everything == [name for verbs in SUBJECTS.values() for name in verbs]
    for subject, verbs in SUBJECTS.items():
        for verb in verbs:
            assert command_names(make_app(verb)) == list(verbs), subject


def command_names(app: typer.Typer) -> list[str]:
    return list(get_group(app).commands)


def _loaded(*words: str) -> set[str]:
    """The modules that a command line loads."""
    look = f"import sys; from netboot.cli.main import main; main({list(words)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())
