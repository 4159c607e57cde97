"""The benchmark's arithmetic: medians, ratios, and when a target is met."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.place import Load, read_load
from bench.plot import log_log
from bench.report import outcome, table
from bench.rows import FAILED, P99, ROWS, THROUGHPUT, Sample, Target

LINE = (
    '{"ended": 3, "failed": 0, "seconds": 2.0, "bytes": 4194304, "retries": 1, "cpu_s": 0.5, '
    '"p50_ms": 1.0, "p99_ms": 8.0, "max_ms": 9.0}'
)
LOAD = read_load(LINE)


def sample(**changes: float) -> Sample:
    return Sample(load=replace(LOAD, **changes), server_cpu_s=0.1, resident_bytes=1 << 20)  # type: ignore[arg-type]


def test_the_clients_line_is_read_whole() -> None:
    times = {"seconds": 2.0, "cpu_s": 0.5, "p50_ms": 1.0, "p99_ms": 8.0, "max_ms": 9.0}
    expected = Load(ended=3, failed=0, bytes=4 << 20, retries=1, **times)
    assert expected == LOAD


def test_a_ratio_is_of_medians_and_to_the_best_peer() -> None:
    samples = {
        "netboot": [sample(seconds=1.0), sample(seconds=2.0), sample(seconds=100.0)],
        "slow": [sample(seconds=8.0)],
        "fast": [sample(seconds=4.0)],
    }
    assert outcome(Target(figure=THROUGHPUT, limit=2), samples) == pytest.approx(2.0)


def test_for_a_time_the_best_peer_is_the_quickest() -> None:
    samples = {"netboot": [sample(p99_ms=3.0)], "one": [sample(p99_ms=6.0)], "other": [sample(p99_ms=12.0)]}
    assert outcome(Target(figure=P99, limit=0.5), samples) == pytest.approx(0.5)


def test_a_peer_that_failed_is_not_the_best() -> None:
    samples = {"netboot": [sample(p99_ms=3.0)], "fails": [sample(p99_ms=1.0, failed=1)], "whole": [sample(p99_ms=6.0)]}
    assert outcome(Target(figure=P99, limit=0.5), samples) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(figure=THROUGHPUT, limit=0.9), 0.9, True),
        (Target(figure=THROUGHPUT, limit=0.9), 0.89, False),
        (Target(figure=P99, limit=0.3), 0.29, True),
        (Target(figure=P99, limit=0.3), 0.31, False),
        (Target(figure=FAILED, limit=0, absolute=True), 0, True),
        (Target(figure=FAILED, limit=0, absolute=True), 1, False),
    ],
)
def test_when_a_target_is_met(target: Target, value: float, met: bool) -> None:
    assert target.met(value) is met


def test_the_plot_has_each_point_at_its_place() -> None:
    plot = ElementTree.fromstring(log_log({"a & b": [(10, 1.0), (1000, 100.0)]}, across="clients", up="seconds"))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    circles = [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in plot.iter(f"{space}circle")]
    assert circles == [(60.0, 340.0), (580.0, 60.0)]
    assert {"a & b", "10", "1,000", "100"} <= {each.text for each in plot.iter(f"{space}text")}


def test_every_row_can_be_told() -> None:
    names = {"netboot", *(" + ".join(each.name for each in peers) for row in ROWS for peers in row.peers)}
    told = table([(row, {name: [sample()] for name in names}) for row in ROWS])
    assert all(row.title in told for row in ROWS)
    assert len({row.key for row in ROWS}) == len(ROWS)
