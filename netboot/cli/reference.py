"""The reference of all commands as Markdown, made from the commands themselves.

`python -m netboot.cli.reference docs/cli.md` writes it into the page, below the mark; a test compares the two, so
the page cannot drift from the program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from netboot.cli.main import NAME, make_app

MARK = "<!-- Below this line: python -m netboot.cli.reference docs/cli.md -->\n"

# In a docstring: this paragraph keeps its lines.
_VERBATIM = "\b\n"


def reference() -> str:
    """All commands, in the order of `netboot --help`."""
    root = get_command(make_app())
    return "\n".join(line for path, command in commands(root) for line in _section(path, command)) + "\n"


def commands(command: Any, path: Sequence[str] = (NAME,)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that name it; the program itself comes first."""
    inner = getattr(command, "commands", {})
    if not inner or len(path) == 1:
        yield tuple(path), command
    for name, each in inner.items():
        yield from commands(each, (*path, name))


def update(page: str) -> str:
    """The page with today's reference below its mark."""
    head, mark, _ = page.partition(MARK)
    return f"{head}{mark or MARK}\n{reference()}"


def _section(path: Sequence[str], command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    names = [_argument(each) for each in arguments]
    yield from (f"## `{' '.join([*path, *names])}`", "")
    for paragraph in _paragraphs(command.help or ""):
        yield from (*paragraph, "")
    rows = [(_argument(each), each.help, each.required) for each in arguments]
    rows += [(_option(each), each.help, each.required) for each in options if each.name != "help"]
    if rows:
        yield from ("| argument or option | what it is |", "|---|---|")
        yield from (
            f"| `{name}` | {help}{' Required.' if required else ''} |".replace("CLIENT|ID", "CLIENT\\|ID")
            for name, help, required in rows
        )
        yield ""


def _argument(argument: Any) -> str:
    name = f"{argument.metavar}..." if argument.nargs == -1 else str(argument.metavar)
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    return ", ".join(names) + (f" {option.metavar}" if option.metavar else "")


def _paragraphs(help: str) -> Iterator[list[str]]:
    for paragraph in help.split("\n\n"):
        lines = paragraph.removeprefix(_VERBATIM).splitlines()
        if lines[:1] and lines[0].startswith("Example"):
            yield ["```sh", *(line.strip() for line in lines[1:]), "```"]
        else:
            yield lines


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(update(file.read_text(encoding="utf-8")), encoding="utf-8")
    typer.echo(f"{file} is up to date")
