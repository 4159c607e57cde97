"""From samples to the table that people read."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from bench.plot import log_log
from bench.rows import OURS, Figure, Row, Sample, Target
from netboot.system.commands import run

# Of each row, what each server did in each round.
Measured = list[tuple[Row, dict[str, list[Sample]]]]

_HERE = Path(__file__).parent
_GROWTH_PLOT = _HERE.parent / "docs/growth.svg"
_PACKAGES = ("dnsmasq-base", "tftpd-hpa", "kea-dhcp4-server", "nginx-light")


def typical(samples: Sequence[Sample], figure: Figure) -> float:
    return median(map(figure.of, samples))


def outcome(target: Target, samples: Mapping[str, Sequence[Sample]]) -> float:
    """Our median, or its ratio to the best peer's."""
    ours = typical(samples[OURS.name], target.figure)
    if target.absolute:
        return ours
    # A peer that failed some of its work was not faster for it.
    peers = [each for name, each in samples.items() if name != OURS.name]
    whole = [each for each in peers if not any(sample.load.failed for sample in each)] or peers
    return ours / target.figure.best(typical(each, target.figure) for each in whole)


def table(measured: Measured) -> str:
    lines = ["| work | target | outcome | | absolute figures (medians) |", "|---|---|---|---|---|"]
    for row, samples in measured:
        for number, target in enumerate(row.targets):
            value = outcome(target, samples)
            lines.append(
                f"| {row.title if number == 0 else ''} | {target.words} | {value:.3g} | "
                f"{'met' if target.met(value) else '**missed**'} | {_absolute(row, samples) if number == 0 else ''} |"
            )
    return "\n".join(lines) + "\n"


def _absolute(row: Row, samples: Mapping[str, Sequence[Sample]]) -> str:
    parts = []
    for name, each in samples.items():
        figures = (f"{figure.name} {typical(each, figure):.4g} {figure.unit}".strip() for figure in row.figures)
        busy = median(sample.load.cpu_s / sample.load.seconds for sample in each)
        parts.append(f"{name}: {', '.join(figures)}; client busy {busy:.0%}")
    return "<br>".join(parts)


def as_json(measured: Measured) -> dict[str, Any]:
    return {
        row.key: {name: [asdict(sample) for sample in samples] for name, samples in servers.items()}
        for row, servers in measured
    }


def write_results(measured: Measured, rounds: int) -> None:
    template = (_HERE / "RESULTS.md.in").read_text()
    (_HERE / "RESULTS.md").write_text(
        template.format(
            table=table(measured),
            rounds=rounds,
            cpu=_cpu(),
            cores=os.cpu_count(),
            kernel=platform.release(),
            python=platform.python_version(),
            versions=_versions(),
        )
    )


def write_growth(measured: Measured) -> None:
    """The table and the plot of docs/performance.md: the table printed, the plot written beside the page."""
    print("| clients | server | time, s | p50, ms | p99, ms | client retries | failed | resident, MiB |")
    print("|---|---|---|---|---|---|---|---|")
    lines: dict[str, list[tuple[float, float]]] = {}
    for row, samples in measured:
        for name, each in samples.items():
            time, p50, p99, retries, failed, resident = (typical(each, figure) for figure in row.figures)
            cells = f"{time:.2f} | {p50:.0f} | {p99:.0f} | {retries:.0f} | {failed:.0f} | {resident:.0f}"
            print(f"| {row.slots:,} | {name} | {cells} |")
            lines.setdefault(name, []).append((row.slots, time))
    plot = log_log(lines, across="PXE clients, all switched on at once", up="seconds until the last has its script")
    _GROWTH_PLOT.write_text(plot)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> str:
    told = run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *_PACKAGES], check=False).stdout
    return told.rstrip(", ") + ", atftpd from the same release"
