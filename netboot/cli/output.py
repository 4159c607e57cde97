"""How things are printed: tables for people, documents for programs.

On a terminal a table fits the window; elsewhere it is as wide as it needs to be, so that nothing that a script
reads is cut.  Text that came from clients is stripped of control characters before it reaches a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 10_000


def console() -> Console:
    """Standard output, without markup: what we print are names and messages of others."""
    tty = sys.stdout.isatty()
    return Console(markup=False, highlight=False, width=None if tty else _WIDE, soft_wrap=not tty)


def print_json(document: Any) -> None:
    """One document, indented; in ASCII, so that it neither drives a terminal nor fails in any locale."""
    typer.echo(json.dumps(document, indent=2))


def print_line(document: Any) -> None:
    """One document on one line, at once: somebody may be following."""
    typer.echo(json.dumps(document))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without frames."""
    made = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*(Text(printable(cell), overflow="fold") for cell in row))
    return made


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    target = console()
    if target.is_terminal:
        target.print(table(heads, rows))
        return
    for line in columns(heads, rows):
        typer.echo(line)


def columns(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a plain table, each column as wide as its widest cell."""
    cells = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def printable(value: object) -> str:
    """A value as one line of harmless text; `-` for what is not there."""
    if value is None:
        return "-"
    return "".join(char if char.isprintable() else " " for char in str(value))


def date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def size(size_bytes: float) -> str:
    """A size as people say it, in decimal units as file managers and networks do."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def span(seconds: float) -> str:
    """A time span as people say it: 0.42 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
