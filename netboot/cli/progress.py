"""Progress of long work: a bar with the time left on a terminal, a line a step elsewhere.

It is shown on stderr, so that what a command prints stays what it is documented to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from netboot.cli.output import size, span


class BuildProgress:
    """Watches a build or an import (`netboot.images.pace.Progress`)."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._last = ""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("starting", total=1.0, left="")

    def step(self, name: str, *, fraction: float, left_s: float, bytes_per_s: float | None = None) -> None:
        if self._bar.live.is_started:
            rate = f", {size(bytes_per_s)}/s" if bytes_per_s else ""
            self._bar.update(self._task, description=name, completed=fraction, left=_left(left_s) + rate)
        elif name != self._last and not self._quiet:
            typer.echo(f"{fraction:4.0%}  {name} ({_left(left_s)})", err=True)
        self._last = name

    def __enter__(self) -> Self:
        if not self._quiet and self._bar.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Stopping a bar that was never started would still print an empty line.
        if self._bar.live.is_started:
            self._bar.stop()


@contextmanager
def byte_progress(total: int, *, what: str = "reading", quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar over so many bytes, with rate and time left; what it gives is to be told each piece that is done."""
    target = Console(stderr=True)
    with Progress(
        TextColumn(what),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=target,
        transient=True,
        disable=quiet or not target.is_terminal,
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.advance(task, done)


def _left(seconds: float) -> str:
    return f"{span(round(seconds))} left" if seconds >= 60 else f"{seconds:.0f} s left"
