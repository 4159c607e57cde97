"""`python -m bench [ROW ...]`: measure, and write bench/RESULTS.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import place, report
from bench.rows import GROWTH, OURS, ROWS, Row, Sample
from bench.servers import NGINX, Server, make_files, running, unpack_atftpd
from netboot.lab.namespace import is_inside, run_inside

CACHE = Path(__file__).parents[1] / ".cache/bench"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure netboot beside the field's own servers.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="which rows; all without any. `--list` names them")
    parser.add_argument("--rounds", type=int, default=5, help="rounds a row, each on all servers in turn (5)")
    parser.add_argument("--growth", action="store_true", help="measure how the time grows with the number of clients")
    parser.add_argument("--json", action="store_true", help="print the samples; write no report")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    options = parser.parse_args(argv)
    rows = _chosen(options.rows, GROWTH if options.growth else ROWS, parser)
    if options.list:
        for row in rows:
            print(f"{row.key:16} {row.title}")
        return 0
    if not is_inside():
        unpack_atftpd_once()
        return run_inside([sys.executable, "-m", "bench", *argv])
    measured = _measure_all(rows, options.rounds)
    if options.json:
        print(json.dumps(report.as_json(measured), indent=2))
    elif options.growth:
        report.write_growth(measured)
    else:
        print(report.table(measured))
        if not options.rows:
            report.write_results(measured, options.rounds)
    return 0


def unpack_atftpd_once() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    unpack_atftpd(CACHE)


def _chosen(keys: Sequence[str], rows: Sequence[Row], parser: argparse.ArgumentParser) -> tuple[Row, ...]:
    known = {row.key: row for row in rows}
    if unknown := [key for key in keys if key not in known]:
        parser.error(f"there is no row {unknown[0]}; there are {', '.join(known)}")
    return tuple(known[key] for key in keys) or tuple(rows)


def _measure_all(rows: Sequence[Row], rounds: int) -> report.Measured:
    make_files(CACHE)
    place.build()
    binary = place.compile_load(CACHE)
    measured: report.Measured = []
    for row in rows:
        contestants = ((OURS,), *row.peers)
        samples: dict[str, list[Sample]] = {}
        for number in range(rounds):
            # In turn, and the other way round every second time, so that a busy minute hits all alike.
            for servers in contestants if number % 2 == 0 else contestants[::-1]:
                name = " + ".join(each.name for each in servers)
                print(f"{row.key}: round {number + 1} of {rounds}, {name}", file=sys.stderr, flush=True)
                samples.setdefault(name, []).append(measure_round(row, servers, binary, CACHE))
        measured.append((row, samples))
    return measured


def measure_round(row: Row, servers: tuple[Server, ...], binary: Path, folder: Path) -> Sample:
    """One load on servers that are started for it in `folder`, once they have answered a first client."""
    with ExitStack() as stack:
        started = [stack.enter_context(running(each, folder, _probe(row, each, servers, binary))) for each in servers]
        if row.beside is not None:
            # Clients of its own, so that none of those that are measured waits for itself.
            stack.enter_context(place.load_beside(binary, [*row.beside.arguments(servers), "--first", "20000"]))
        before = sum(each.cpu_s() for each in started)
        told = place.load(binary, row.arguments(servers))
        after = sum(each.cpu_s() for each in started)
        resident = sum(each.resident_bytes() for each in started)
    return Sample(load=told, server_cpu_s=after - before, resident_bytes=resident)


def _probe(row: Row, server: Server, servers: tuple[Server, ...], binary: Path) -> Callable[[], bool]:
    """Whether the server answers: one small job, by a client that is none of those that are measured."""
    few = row.arguments(servers)
    phases = row.phases
    if len(servers) > 1:
        phases = "H" if server is NGINX else "T"
        few += ["--pool", place.POOL_FIRST]
    few += ["--phases", phases, "--slots", "1", "--jobs", "1", "--first", "30000", "--patience", "300", "--loss", "0"]

    def answers() -> bool:
        return place.load(binary, few).ended == 1

    return answers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
