"""`netboot config`: what a configuration file says, before a daemon has to live with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from netboot.cli.output import print_json
from netboot.cli.place import JsonOption
from netboot.cli.shapes import Shape, plain
from netboot.config import Config, load_config
from netboot.config.reader import LISTS, NAMED, TABLES, settings_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check and show a configuration file.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The configuration file.")]


@app.command()
def check(file: FileArgument, json_: JsonOption = False) -> None:
    """Read a configuration file and say what is wrong with it.

    A mistyped key is answered with the nearest valid one.  Nothing is started and nothing is changed; whether
    interfaces exist and ports are free shows only when the daemon starts.

    \b
    Example:
      netboot config check /etc/netboot/netboot.toml && systemctl reload netboot

    \b
    Exit codes: 0 the file is right; 2 it is wrong; 3 it does not exist.
    """
    load_config(file)
    if json_:
        print_json({"file": str(file), "valid": True})
    else:
        typer.echo(f"{file} is right")


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", readable=False, help="The file; without it, the defaults.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Print every setting with its value, the defaults too.

    What is printed is a configuration file again; a setting that has no value stands there as a comment.

    \b
    Examples:
      netboot config show
      netboot config show /etc/netboot/netboot.toml --json

    \b
    Exit codes: 0 shown; 2 the file is wrong; 3 it does not exist.
    """
    config = load_config(file) if file else Config()
    if json_:
        print_json(config_shape(config))
    else:
        typer.echo("\n".join(config_lines(config)))


def config_shape(config: Config) -> Shape:
    """Every setting, in the form of the file."""
    shape = _section_shape(config)
    for name in TABLES:
        shape[name] = _section_shape(getattr(config, name))
    for name in LISTS:
        shape[name] = [_section_shape(each) for each in getattr(config, name)]
    for name in NAMED:
        shape[name] = {key: _section_shape(each) for key, each in getattr(config, name).items()}
    return shape


def config_lines(config: Config) -> Iterator[str]:
    """The configuration as TOML with every setting in it."""
    shape = config_shape(config)
    yield from _assignments({key: shape[key] for key in settings_of(Config)})
    for name in LISTS:
        for each in shape[name]:
            yield from ("", f"[[{name}]]", *_assignments(each))
    for name in TABLES:
        yield from ("", f"[{name}]", *_assignments(shape[name]))
    for name in NAMED:
        for key, each in shape[name].items():
            yield from ("", f"[{name}.{key}]", *_assignments(each))


def _section_shape(section: Any) -> Shape:
    return {key: plain(getattr(section, key)) for key in settings_of(type(section))}


def _assignments(shape: Shape) -> Iterator[str]:
    for key, value in shape.items():
        yield f"# {key} is not set" if value is None else f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    """The value in TOML: JSON's strings, numbers, booleans and lists are TOML's as well, its tables are not.

    But for one character, U+007F, which JSON leaves as it is and TOML does not allow.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f" {json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
