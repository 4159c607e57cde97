"""Which noun a command line is about, and that a command loads no other's libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netboot.cli.nouns import noun_of


@pytest.mark.parametrize(
    ("words", "noun"),
    [
        ("image list", "image"),
        ("--data-dir image client list", "client"),
        ("--database x --data-dir y lease list --json", "lease"),
        ("--data-dir=x version", "version"),
        ("imag list", None),
        ("--help", None),
        ("", None),
        ("--data-dir", None),
    ],
)
def test_the_noun_is_the_first_word_that_is_no_option(words: str, noun: str | None) -> None:
    assert noun_of(words.split()) == noun


def test_while_a_shell_completes_every_noun_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NETBOOT_COMPLETE", "complete_bash")
    assert noun_of(["image"]) is None


def test_who_asks_no_database_does_not_load_it() -> None:
    """Its library takes longer to load than a draft to open."""
    look = "import sys; from netboot.cli.main import main; main(['image', 'edit', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "netboot.cli.image" in loaded
    assert not loaded & {"sqlalchemy", "pyroute2", "jinja2", "netboot.store", "netboot.daemon"}
