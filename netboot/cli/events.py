"""`netboot events`: everything that happened, as it happens."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

import typer

from netboot.cli.output import date, print_line
from netboot.cli.place import DataDirOption, complete_client, place_of
from netboot.cli.shapes import event_shape
from netboot.cli.stories import Stories
from netboot.cli.timeline import details
from netboot.errors import InvalidInput
from netboot.model.event import Event
from netboot.model.mac import MacAddress
from netboot.store import EventRepository
from netboot.store.events import EventFilter

_LOOK_S = 0.1
_MOST_EVENTS = 2**31 - 1
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_to(app: typer.Typer) -> None:
    app.command()(events)


def events(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")] = False,
    client: Annotated[
        str | None,
        typer.Option("--client", metavar="CLIENT", help="Only of this client.", autocompletion=complete_client),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only from then on: 10m, 2h, 1d, or 2026-05-01T12:00."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=0,
            max=_MOST_EVENTS,
            help="At most so many of the past [default: 100, all with --since].",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print events, the oldest first.

    An event is a step of a client's boot, or something else worth telling; docs/boot-flow.md lists them all.  With
    --follow the command goes on until Ctrl-C and prints each event as it happens.

    \b
    Examples:
      netboot events --follow
      netboot events --client lab-07 --since 1h
      netboot events --follow --json | jq -r 'select(.kind == "up") | .mac'

    \b
    Exit codes: 0 printed; 2 the time cannot be read; 3 no such client; 130 ended with Ctrl-C.
    """
    earliest = parse_since(since, now=time.time()) if since else None
    with place_of(ctx, data_dir).database() as engine:
        stories = Stories(engine)
        only = EventFilter(mac=stories.mac(client) if client else None, since=earliest)
        names = stories.names()
        for event in _told(stories.events, only, past=_past(limit, since), follow=follow):
            if json_:
                print_line(event_shape(event))
            else:
                names = names if event.mac is None or event.mac in names else stories.names()
                typer.echo(event_line(event, names))


def event_line(event: Event, names: Mapping[MacAddress, str]) -> str:
    """One event on one line."""
    who = "-" if event.mac is None else names.get(event.mac, str(event.mac))
    return f"{date(event.at)}  {who:<17}  {event.kind:<17}  {details(event)}".rstrip()


def parse_since(text: str, *, now: float) -> float:
    """A moment: a span before `now`, or a date and time, local unless it says otherwise."""
    if match := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
        return now - int(match.group(1)) * _UNITS[match.group(2)]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{text!r} is no time", hint="write 90s, 10m, 2h or 1d, or a date as 2026-05-01T12:00"
        ) from None


def _past(limit: int | None, since: str | None) -> int:
    return limit if limit is not None else (_MOST_EVENTS if since else 100)


def _told(repository: EventRepository, only: EventFilter, *, past: int, follow: bool) -> Iterator[Event]:
    last_id = repository.last_id()
    for event in repository.newest(past, only=only):
        last_id = max(last_id, event.id or 0)
        yield event
    while follow:
        for event in repository.after(last_id, only=only):
            last_id = event.id or last_id
            yield event
        time.sleep(_LOOK_S)
