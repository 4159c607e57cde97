"""The program: all nouns under one name, and what becomes of errors.

An error goes to stderr as `netboot: error: what is wrong` and `hint: what to do`, or as one JSON object when
`--json` was asked for; its class decides the exit code.  Ctrl-C ends quietly with 130.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

import netboot
from netboot.cli.nouns import add_nouns
from netboot.cli.place import DATA_DIR_HELP, Place
from netboot.errors import InvalidInput, NetbootError, NotPermitted, Unavailable

NAME = "netboot"


def make_app(words: Sequence[str] = ()) -> typer.Typer:
    """The program, with the noun that `words` are about, or with all."""
    app = typer.Typer(
        name=NAME,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 conflict, 5 not permitted,"
        " 6 something needed is missing or busy, 130 interrupted.",
    )
    app.callback()(common)
    add_nouns(app, words)
    app.command()(version)
    return app


def common(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", readable=False, help=DATA_DIR_HELP)
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            envvar="NETBOOT_DATABASE",
            help="The database, when it is not the SQLite file in the data directory.",
        ),
    ] = None,
) -> None:
    """Boot diskless Linux clients from the network, and see how far each boot came.

    Start with `netboot demo`, or with `netboot image build debian-minimal`, `netboot client add` and `netboot serve`.
    """
    ctx.obj = Place.named(data_dir, database=database)


def version(json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the program's version."""
    typer.echo(json.dumps({"version": netboot.__version__}) if json_ else f"{NAME} {netboot.__version__}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, and give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = get_command(make_app(words)).main(args=words, prog_name=NAME, standalone_mode=False)
    except NetbootError as error:
        return _tell(error, as_json="--json" in words)
    except OSError as error:
        _give_up_on_stdout()
        return _tell(_system_error(error), as_json="--json" in words)
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        return _tell(_usage_error(error), as_json="--json" in words)
    return code if isinstance(code, int) else 0


def _give_up_on_stdout() -> None:
    """If it takes no more, drop what it still holds, or Python complains at its end and exits with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _system_error(error: OSError) -> NetbootError:
    """What the system refused, in whatever place: any file of the data directory may be denied, or its disk full."""
    if isinstance(error, PermissionError):
        what = f"{error.filename} may not be used" if error.filename else "a right is lacking"
        return NotPermitted(what, hint="run it as root, or as the owner")
    what = f"{error.filename} cannot be used" if error.filename else "the system refused"
    return Unavailable(f"{what}: {error.strerror or error}", hint=_SYSTEM_HINTS.get(error.errno or 0, _LOOK))


_LOOK = "see what it is, with ls -ld, or name another place with --data-dir"
_SYSTEM_HINTS = {
    errno.ENOSPC: "make space on its file system, as by netboot image gc, or name another place with --data-dir",
    errno.EROFS: "its file system is read-only: mount it writable, or name another place with --data-dir",
    errno.ENOTDIR: "a file stands where a folder should: name another place with --data-dir",
}


def _usage_error(error: typer.TyperException) -> NetbootError:
    """What Typer says about a command line, as an error of ours."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else NAME
    return InvalidInput(error.format_message().rstrip("."), hint=f"see {command} --help")


def _tell(error: NetbootError, *, as_json: bool) -> int:
    if as_json:
        shape = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        typer.echo(json.dumps({"error": shape}), err=True)
        return error.exit_code
    typer.echo(f"{NAME}: error: {error.message}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)
    return error.exit_code
