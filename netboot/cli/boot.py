"""`netboot boot`: the boots, and the story of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.live import Live

from netboot.cli.output import console, date, print_json, print_table, span
from netboot.cli.place import DataDirOption, JsonOption, complete_client, place_of
from netboot.cli.shapes import boot_shape, boot_story_shape
from netboot.cli.stories import Stories
from netboot.cli.timeline import heading, lines, picture, rows, sentences
from netboot.errors import NotFound
from netboot.model.boot import Boot, Outcome, Verdict

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="See how clients booted.")

# Often enough for a live picture, seldom enough not to be felt by the daemon.
_LOOK_S = 0.25
# Their numbers go into one question to the database, which takes some thirty thousand values.
_MOST_BOOTS = 10_000


@app.command("list")
def list_boots(
    ctx: typer.Context,
    client: Annotated[
        str | None,
        typer.Option("--client", metavar="CLIENT", help="Only of this client.", autocompletion=complete_client),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=_MOST_BOOTS, help="How many.")] = 50,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """List boots with their verdicts, the newest first.

    A boot is `booting` while it goes on, `up` when it is done, `stalled` when a step is overdue, `failed` when the
    client said so, and `denied` when there is nothing for it to boot.  One from a disk with a loader of its own ends as
    `handed-over`: what that disk holds reports nothing.

    \b
    Examples:
      netboot boot list --limit 10
      netboot boot list --client lab-07

    \b
    Exit codes: 0 listed; 3 there is no such client.
    """
    with place_of(ctx, data_dir).database() as engine:
        stories = Stories(engine)
        boots = stories.events.boots(stories.mac(client) if client else None, limit=limit)
        names = stories.names()
        judged = [(boot, stories.verdict(boot)) for boot in boots]
    if json_:
        print_json([boot_shape(boot, verdict, names.get(boot.mac)) for boot, verdict in judged])
        return
    heads = ("BOOT", "CLIENT", "MAC", "STARTED", "LASTED", "OUTCOME", "REACHED")
    print_table(heads, [_line(boot, verdict, names.get(boot.mac)) for boot, verdict in judged])


@app.command()
def show(
    ctx: typer.Context,
    which: Annotated[
        str,
        typer.Argument(
            metavar="CLIENT|ID",
            help="A client, for its last boot, or the number of a boot.",
            autocompletion=complete_client,
        ),
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the boot is over.")] = False,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Show the timeline of a boot and the verdict on it.

    Each line is a step: when it happened, how long after the step before, and what is known of it.  The verdict says
    how far the boot came and, when it came no further, the likely cause and what to try.  With --follow the
    timeline grows until the boot is over; a client that has never booted is waited for.  With --follow --json the whole
    is printed at the end.

    \b
    Examples:
      netboot boot show lab-07
      netboot boot show 52:54:00:12:34:56 --follow
      netboot boot show 1204 --json | jq -r .verdict.cause

    \b
    Exit codes: 0 shown; with --follow: 0 the client is up or handed over, 1 it is not; 3 no such client or boot.
    """
    with place_of(ctx, data_dir).database() as engine:
        stories = Stories(engine)
        if follow:
            boot, verdict = _follow(stories, which, quiet=json_)
        else:
            boot, verdict = _now(stories, which)
        name = stories.name(boot.mac)
    if json_:
        print_json(boot_story_shape(boot, verdict, name))
    elif not follow:
        _print(boot, verdict, name)
    if follow and not verdict.outcome.is_good:
        raise typer.Exit(1)


def _now(stories: Stories, which: str) -> tuple[Boot, Verdict]:
    boot = stories.latest(which)
    if boot is None:
        raise NotFound(
            f"client {which} has not booted yet",
            hint=f"switch it on and watch: netboot boot show {which} --follow",
        )
    return boot, stories.verdict(boot)


def _print(boot: Boot, verdict: Verdict, name: str | None) -> None:
    target = console()
    if target.is_terminal:
        target.print(picture(boot, verdict, name, now=time.time()))
    else:
        typer.echo("\n".join(lines(boot, verdict, name, now=time.time())))


def _follow(stories: Stories, which: str, *, quiet: bool) -> tuple[Boot, Verdict]:
    """Show the boot as it goes on, in the way that fits where it is shown; what it came to."""
    if quiet:
        return list(_growing(stories, which))[-1]
    return _follow_live(stories, which) if console().is_terminal else _follow_plain(stories, which)


def _growing(stories: Stories, which: str) -> Iterator[tuple[Boot, Verdict]]:
    """The boot again and again, until it is over; of a client that boots anew meanwhile, the newer boot."""
    while True:
        boot = stories.latest(which)
        if boot is not None:
            verdict = stories.verdict(boot)
            yield boot, verdict
            if verdict.outcome is not Outcome.BOOTING:
                return
        time.sleep(_LOOK_S)


def _follow_live(stories: Stories, which: str) -> tuple[Boot, Verdict]:
    with Live(console=console(), auto_refresh=False) as live:
        for boot, verdict in _growing(stories, which):
            live.update(picture(boot, verdict, stories.name(boot.mac), now=time.time()), refresh=True)
    return boot, verdict


def _follow_plain(stories: Stories, which: str) -> tuple[Boot, Verdict]:
    boot_id, told = 0, 0
    for boot, judged in _growing(stories, which):
        if boot.id != boot_id:
            typer.echo(heading(boot, stories.name(boot.mac)))
            boot_id, told = boot.id, 0
        for row in rows(boot.events)[told:]:
            typer.echo("  ".join(cell for cell in row.cells if cell))
        told, verdict = len(boot.events), judged
    typer.echo("\n".join(sentences(boot, verdict, now=time.time())))
    return boot, verdict


def _line(boot: Boot, verdict: Verdict, name: str | None) -> tuple[object, ...]:
    lasted = span(boot.last_at - boot.started_at)
    return boot.id, name, boot.mac, date(boot.started_at), lasted, verdict.outcome, verdict.reached
