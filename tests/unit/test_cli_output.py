"""How values are written for people."""

from __future__ import annotations

import time

import pytest

from netboot.cli.output import columns, printable, size, span
from netboot.cli.timeline import details, rows
from netboot.model.event import Event, EventKind


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.424, "0.42 s"),
        (59.5, "59.50 s"),
        (60, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (8_200_000, "8.2 MB"), (5e12, "5000.0 GB")]
)
def test_sizes(size_bytes: float, text: str) -> None:
    assert size(size_bytes) == text


def test_columns_are_as_wide_as_they_must_be() -> None:
    long = "x" * 300
    assert columns(("A", "B"), [(1, None), (long, "z")]) == ["A" + " " * 301 + "B", "1" + " " * 301 + "-", f"{long}  z"]


def test_what_a_client_says_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b]0;evil\x07b\nc\u202e") == "a ]0;evil b c "


def test_rows_have_clock_and_time_between() -> None:
    told = [
        Event(at=3600.25, kind=EventKind.DISCOVERED),
        Event(
            at=3601.0, kind=EventKind.LOADER_SENT, details={"bytes": 70000, "seconds": 0.5, "log": "long", "file": "x"}
        ),
        Event(at=3600.9, kind=EventKind.ROOT_RETRIED, details={"attempt": 2}),
    ]
    assert [row.cells for row in rows(told, localtime=time.gmtime)] == [
        ("discovered", "01:00:00.250", "", ""),
        ("loader-sent", "01:00:01.000", "+0.75 s", "70.0 kB  in 0.50 s  file=x"),
        ("root-retried", "01:00:00.900", "+0.00 s", "attempt=2"),
    ]
    assert [row.trouble for row in rows(told)] == [False, False, True]


def test_details_of_a_client_that_lies_about_its_numbers() -> None:
    event = Event(at=1.0, kind=EventKind.ROOT_RETRIED, details={"bytes": "many", "seconds": "\x1b"})
    assert details(event) == "bytes=many  seconds= "
