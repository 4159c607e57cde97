"""Showing a lab to a person: the timeline of its one client as it grows, or a line an event.

The end is the same for both: for each client whether it is up, and where it is not, what was reached, what was
not, the last lines of its console, and what to try.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.live import Live

from netboot.boot.progress import verdict
from netboot.cli.output import console, printable, span
from netboot.cli.timeline import details, picture
from netboot.lab.result import ClientResult, LabResult
from netboot.lab.run import LabListener
from netboot.model.boot import Boot
from netboot.model.event import Event


class Silent:
    """Nobody watches: the result is printed as JSON."""

    def said(self, text: str) -> None:
        pass

    def happened(self, client: str, event: Event) -> None:
        pass

    def settled(self, result: ClientResult) -> None:
        pass


class Lines(Silent):
    """A line an event, with the time since the client's first one."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def said(self, text: str) -> None:
        typer.echo(text)

    def happened(self, client: str, event: Event) -> None:
        began = self._began.setdefault(client, event.at)
        since = f"+{span(event.at - began)}"
        typer.echo(f"{client}  {since:>12}  {event.kind:<17}  {details(event)}".rstrip())


class Picture(Silent):
    """One client's timeline on a terminal, redrawn with each event; used with `with`.

    The lab judges the boot by its own patience, so while it goes on we call it nothing but booting.
    """

    def __init__(self, target: Console) -> None:
        self._target = target
        self._live = Live(console=target, auto_refresh=False)
        self._story: tuple[Event, ...] = ()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def said(self, text: str) -> None:
        self._target.print(text)

    def happened(self, client: str, event: Event) -> None:
        if event.mac is None or event.boot is None:
            return
        going_on = bool(self._story) and self._story[-1].boot == event.boot
        self._story = (*self._story, event) if going_on else (event,)
        boot = Boot(id=event.boot, mac=event.mac, events=self._story)
        self._live.update(picture(boot, verdict(boot, now=event.at), client, now=time.time()), refresh=True)


def listener_for(count: int, *, quiet: bool) -> LabListener:
    """What fits the place where it is shown."""
    if quiet:
        return Silent()
    target = console()
    return Picture(target) if count == 1 and target.is_terminal else Lines()


def result_lines(result: LabResult) -> list[str]:
    """How the lab went."""
    told = [line for client in result.clients for line in _client_lines(client)]
    return [*told, f"consoles and logs are in {result.directory}"]


def _client_lines(client: ClientResult) -> list[str]:
    name, found = client.seat.name, client.verdict
    if client.ok:
        return [f"{name} is up after {span(client.seconds)}, with a login prompt on its console"]
    cause, hint = found.cause, found.hint
    if not client.login_seen and not cause:
        cause, hint = "it said that it is up, but its console shows no login prompt", "read its console"
    return [
        f"{name} is not up: {found.outcome} after {span(client.seconds)}",
        f"  reached: {found.reached or 'nothing'}",
        f"  missing: {found.missing or 'a login prompt'}",
        f"  why:     {printable(cause)}",
        f"  try:     {printable(hint)}",
        f"  console: {client.console}, whose last lines are",
        *(f"    {printable(line)}" for line in client.last_lines.splitlines()),
    ]
